"""The promises of the contract as a stranger reads them: one sentence, one test, public names only.

The tests beside this folder look at each promise from all sides; these only ask whether it holds.
"""
