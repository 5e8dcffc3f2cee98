"""HTTP/1.1 as the API needs it: requests in, bodies or streams out, parsed by httptools."""
