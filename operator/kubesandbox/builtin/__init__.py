"""The kinds that Kubernetes itself brings, as far as they are served here."""
