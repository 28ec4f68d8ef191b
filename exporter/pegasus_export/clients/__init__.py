"""What other people's clients need of a bundle beside its graphs: layouts, a contract, a card.

- transformers_js.py  the folder as transformers.js looks for it
- own_weights.py      a graph with its weights in a file of its own
- contract.py         contract.md: every tensor, tokens, caches, a loop
- meanings.py         what each tensor is, in words
- vectors.py          test_vectors.json: texts, their ids, and the tokens that follow
- card.py             README.md
"""
