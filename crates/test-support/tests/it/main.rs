mod documents;
mod fuzz;
