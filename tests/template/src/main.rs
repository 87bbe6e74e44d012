//! `cargo run -p template`: the table alone, as a template. A new stack that takes over a table begins with it.

fn main() {
    println!("{:#}", template::Template::read().only("Table"));
}
