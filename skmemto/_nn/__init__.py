"""The networks: plain torch modules that know nothing of scikit-learn."""
