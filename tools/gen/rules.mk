# Generated sources: each block adds its outputs to GEN_C and GEN_H.
