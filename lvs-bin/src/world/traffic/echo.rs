//! Echo over TCP and UDP, with the server's name in front.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::sleep;

use super::RESPITE;

/// Answers each datagram with `name`, a space and the datagram.
pub(super) async fn serve_udp(socket: UdpSocket, name: String) {
    let mut datagram = vec![0; LONGEST_DATAGRAM];
    let mut answer = Vec::with_capacity(LONGEST_DATAGRAM);
    loop {
        // An ICMP error for an earlier answer surfaces here; later clients are
        // still served.
        let Ok((length, client)) = socket.recv_from(&mut datagram).await else {
            continue;
        };
        answer.clear();
        answer.extend_from_slice(name.as_bytes());
        answer.push(b' ');
        answer.extend_from_slice(&datagram[..length]);
        let _ = socket.send_to(&answer, client).await;
    }
}

/// Answers each line of each connection with `name`, a space and the line.
pub(super) async fn serve_tcp(listener: TcpListener, name: String) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(RESPITE).await;
            continue;
        };
        tokio::spawn(echo_lines(stream, name.clone()));
    }
}

/// Ends when the client closes, or at the first error: the client sees it too.
async fn echo_lines(stream: TcpStream, name: String) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        writer
            .write_all(format!("{name} {line}\n").as_bytes())
            .await?;
    }
    Ok(())
}

const LONGEST_DATAGRAM: usize = 65_535;
