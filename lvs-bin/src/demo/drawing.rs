//! [`Drawing`]: a world as a picture in text.

use std::fmt;

use crate::world::{Family, Layout, Method, Plan};

/// Displays what a plan builds: who is connected to whom, with which address.
#[derive(Clone, Copy, Debug)]
pub struct Drawing<'p>(pub &'p Plan);

impl fmt::Display for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        let outside = match plan.router {
            true => "client ── router",
            false => "client",
        };
        match plan.layout {
            Layout::OneArmed => {
                writeln!(
                    f,
                    "{outside:>16} ──┬── director     {}",
                    addresses(Plan::dip)
                )?;
                self.vip(f, "                   │               ")?;
            }
            Layout::TwoArmed => {
                writeln!(
                    f,
                    "{outside:>16} ───── director     {}",
                    addresses(Plan::dip)
                )?;
                self.vip(f, "                      │            ")?;
            }
        }
        self.real_servers(f)
    }
}

impl Drawing<'_> {
    fn vip(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        writeln!(f, "{indent} VIP {}", addresses(Plan::vip))
    }

    fn real_servers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        let (indent, answer) = match (plan.layout, plan.method) {
            (Layout::OneArmed, Method::Masquerade) => (19, "answers through the director"),
            (Layout::OneArmed, _) => (19, "has the VIP on lo, answers directly"),
            (Layout::TwoArmed, Method::Masquerade) => (22, "answers through the director"),
            (Layout::TwoArmed, _) => (22, "has the VIP on lo, answers past the director"),
        };
        for index in 0..plan.real_servers {
            let corner = match index + 1 == plan.real_servers {
                true => "└",
                false => "├",
            };
            let rip = addresses(|family| plan.rip(index, family));
            let name = format!("rs{}", index + 1);
            writeln!(f, "{:indent$}{corner}── {name:<4} {rip:<34}  {answer}", "")?;
        }
        Ok(())
    }
}

fn addresses(of: impl Fn(Family) -> std::net::IpAddr) -> String {
    let [v4, v6] = Family::BOTH.map(of);
    format!("{v4}, {v6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_arm() {
        assert_eq!(
            Drawing(&Plan::new(Method::DirectRoute)).to_string(),
            "\
client ── router ──┬── director     192.0.2.1, 2001:db8:2::1
                   │                VIP 192.0.2.100, 2001:db8:2::100
                   ├── rs1  192.0.2.11, 2001:db8:2::11          has the VIP on lo, answers directly
                   └── rs2  192.0.2.12, 2001:db8:2::12          has the VIP on lo, answers directly
"
        );
    }

    #[test]
    fn two_arms() {
        let plan = Plan {
            router: false,
            real_servers: 1,
            ..Plan::new(Method::Masquerade)
        };
        assert_eq!(
            Drawing(&plan).to_string(),
            "          \
          client ───── director     192.0.2.1, 2001:db8:2::1
                      │             VIP 192.0.2.100, 2001:db8:2::100
                      └── rs1  10.0.0.11, fd00::11                 answers through the director
"
        );
    }
}
