//! A lake damaged in every way: each check says exactly what was done to it, and nothing of one that is whole.

mod damage;
mod index;
mod lake;
