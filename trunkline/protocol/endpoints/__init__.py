"""The endpoints beside conversations: embeddings, old completions, moderation, reranking, images and sound.

Their contract is `protocol.endpoint`, and `protocol.registry` knows them by name, a module or class for each.
None of them imports a dialect, nor do they know of each other; what they share stands in modules of its own here.
"""
