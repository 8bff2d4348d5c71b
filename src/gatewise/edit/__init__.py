"""What is done to recurrent layers by gate, one file per deed.  Each takes an object in memory of any framework (a layer, a
model: all its layers; a tree of parameters) or a :class:`~gatewise.live.Live`, and gives the object back: itself, or where
the framework's objects never change the new one.  Not known here: any framework.
"""
