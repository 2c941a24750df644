//! A broker without the command line around it, for tests with several processes: its arguments are settings, each
//! `key=value`.

use ottla_server::config::{BrokerConfig, Sources};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sources = Sources::of_process(None, std::env::args().skip(1).collect());
    Ok(ottla_server::run(BrokerConfig::load(&sources)?)?)
}
