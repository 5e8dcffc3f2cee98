"""The Common Expression Language as kube-apiserver has it: for CRD rules and for admission policies."""
