"""ValidatingAdmissionPolicies: CEL expressions that decide about writes."""
