mod cargo;
mod documents;
mod layering;
