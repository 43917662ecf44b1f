//! `peers NAME`: servers of other frameworks, each as its own documentation starts it, with the routes that `../compare` asks for.

mod actix;
#[path = "../../common/child.rs"]
mod child;
mod ntex;
mod salvo;
mod xitca;

use std::error::Error;
use std::net::TcpListener;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const HELLO: &str = "Hello World!";
const LARGE: &[u8] = &[b'x'; 1_000_000];

fn main() -> Result<()> {
    let name = std::env::args().nth(1).ok_or("peers NAME")?;
    let serve = match name.as_str() {
        "actix" => actix::serve,
        "ntex" => ntex::serve,
        "salvo" => salvo::serve,
        "xitca" => xitca::serve,
        _ => return Err(format!("{name} is not a server of this program").into()),
    };
    child::end_with_parent();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    child::announce(listener.local_addr()?.port());
    serve(listener)
}
