//! A network of its own: the controller lives in a network namespace, joined to the rig by a veth
//! pair, so that packets are really lost. Delay, jitter and loss are netem's, where the kernel has it;
//! else loss is the packet filter's (`nft`). A partition takes the link down. Needs root and `ip`.

use std::net::Ipv4Addr;
use std::process::Command;

use super::Kind;

/// See the module. Dropping it removes namespace and link.
#[derive(Debug)]
pub struct Network {
    name: String,
    /// The rig's end of the link.
    link: String,
    /// The rig's address.
    pub rig: Ipv4Addr,
}

/// Of all packets, at severity 1: more than a bad radio link loses. Beyond it TCP's waits, which
/// double, are silences.
const LOSS_PERCENT: f64 = 10.0;

/// Runs a program; what it said if it failed.
fn command(program: &str, args: &[&str]) -> Result<(), String> {
    let output =
        Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", args.join(" "), said.lines().next().unwrap_or("failed")))
}

impl Network {
    /// Makes namespace and link.
    ///
    /// # Errors
    /// Why there is none: no root, no `ip`, no namespaces.
    pub fn make() -> Result<Self, String> {
        let number = std::process::id();
        let (name, link, there) =
            (format!("hil{number}"), format!("hila{number}"), format!("hilb{number}"));
        let [.., high, low] = number.to_be_bytes();
        // Of the block for benchmarks between networks (RFC 2544): nobody's own.
        let base = u32::from(Ipv4Addr::new(198, 18, high, low & 0xFC));
        let (rig, board) = (Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2));
        command("ip", &["netns", "add", &name])?;
        let network = Self { name, link, rig };
        let (name, link) = (network.name.as_str(), network.link.as_str());
        let pair = ["link", "add", link, "type", "veth", "peer", "name", &there, "netns", name];
        command("ip", &pair)?;
        command("ip", &["addr", "add", &format!("{rig}/30"), "dev", link])?;
        command("ip", &["link", "set", link, "up"])?;
        let within = |args: &[&str]| command("ip", &[&["-n", name], args].concat());
        within(&["addr", "add", &format!("{board}/30"), "dev", &there])?;
        within(&["link", "set", &there, "up"])?;
        within(&["link", "set", "lo", "up"])?;
        Ok(network)
    }

    /// The controller's namespace.
    pub fn namespace(&self) -> &str {
        &self.name
    }

    /// Begins a fault of the network.
    ///
    /// # Errors
    /// Why it cannot be made here.
    pub fn begin(&self, kind: Kind, severity: f64) -> Result<(), String> {
        let netem = |args: &[&str]| {
            let add = ["qdisc", "add", "dev", &self.link, "root", "netem"];
            command("tc", &[&add, args].concat())
        };
        let ms = |most: f64| format!("{:.0}ms", severity * most);
        match kind {
            Kind::NetDelay => netem(&["delay", &ms(200.0)]),
            Kind::NetJitter => netem(&["delay", &ms(50.0), &ms(50.0)]),
            Kind::NetLoss => {
                let percent = format!("{:.0}", severity * LOSS_PERCENT);
                netem(&["loss", &format!("{percent}%")])
                    .or_else(|netem| self.filter(&percent).map_err(|nft| format!("{netem}; {nft}")))
            }
            Kind::NetPartition => command("ip", &["link", "set", &self.link, "down"]),
            _ => Err(format!("{} is not the network's", kind.name())),
        }
    }

    /// Runs a program in the controller's namespace.
    fn within(&self, args: &[&str]) -> Result<(), String> {
        command("ip", &[&["netns", "exec", &self.name], args].concat())
    }

    /// Lets `percent` of the packets be dropped where they arrive, in both directions.
    fn filter(&self, percent: &str) -> Result<(), String> {
        let rules = format!(
            "table inet {} {{ chain lost {{ type filter hook input priority 0; ip saddr {}/30 numgen random mod 100 < {percent} drop; }}; }}",
            self.name, self.rig
        );
        command("nft", &[&rules])?;
        self.within(&["nft", &rules])
    }

    /// Whether [`Self::filter`] does what netem could not.
    fn filtered(&self) -> bool {
        command("nft", &["list", "table", "inet", &self.name]).is_ok()
    }

    /// Ends it.
    pub fn end(&self, kind: Kind) {
        let _ = match kind {
            Kind::NetPartition => command("ip", &["link", "set", &self.link, "up"]),
            Kind::NetLoss if self.filtered() => {
                let _ = command("nft", &["delete", "table", "inet", &self.name]);
                self.within(&["nft", "delete", "table", "inet", &self.name])
            }
            _ => command("tc", &["qdisc", "del", "dev", &self.link, "root"]),
        };
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if self.filtered() {
            self.end(Kind::NetLoss);
        }
        // The link goes with its other end.
        let _ = command("ip", &["link", "del", &self.link]);
        let _ = command("ip", &["netns", "del", &self.name]);
    }
}
