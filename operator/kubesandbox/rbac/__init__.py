"""Role-based access control: who may do what, from the Roles and bindings that are stored."""
