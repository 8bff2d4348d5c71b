"""Objects in memory, one file per framework.  A framework is imported here only when one of its objects is at hand, or
when the user asks for it by entering a context.  Not known here: files, which containers/ reads."""
