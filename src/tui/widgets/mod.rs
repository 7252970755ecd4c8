//! What views are made of. Nothing here knows what a session is.

pub mod field;
pub mod pen;
pub mod secret_field;
pub mod spark;
pub mod table;
