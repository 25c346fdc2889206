"""Over people: probability maps, where the lesions are, statistics, tables; arrays in and out."""
