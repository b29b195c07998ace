"""The pictures of a benchmark run as inline SVG, without a library: data in, markup out."""
