//! Making a TUN device.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use libc::{c_char, c_int, c_short, ifreq};

/// Makes a TUN device of that name, or with the first free number for `%d` in
/// it, and returns it with its name. A device that exists already is refused.
///
/// It takes and gives bare IP packets, each behind a `virtio_net_hdr` of
/// [`VNET_HEADER_BYTES`]. It never blocks, and is gone when the file is closed.
pub(crate) fn open(name: &str) -> io::Result<(File, String)> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")?;
    let mut request = request(name)?;
    // The exclusive flag is declared as a wider number than the field.
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL;
    request.ifr_ifru.ifru_flags = flags as c_short;
    let header: c_int = VNET_HEADER_BYTES as c_int;
    // SAFETY: both calls get a descriptor that `device` keeps open and a
    // pointer to a local of the type that the call reads (and TUNSETIFF writes).
    unsafe {
        check(libc::ioctl(
            device.as_raw_fd(),
            libc::TUNSETIFF,
            &mut request,
        ))?;
        check(libc::ioctl(
            device.as_raw_fd(),
            libc::TUNSETVNETHDRSZ,
            &header,
        ))?;
    }
    Ok((device, name_of(&request)))
}

/// An interface request that names `name`.
pub(super) fn request(name: &str) -> io::Result<ifreq> {
    // SAFETY: ifreq is plain old data, for which zeros are a value.
    let mut request: ifreq = unsafe { mem::zeroed() };
    let fits = name.len() < request.ifr_name.len() && !name.contains('\0');
    if !fits {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    Ok(request)
}

fn name_of(request: &ifreq) -> String {
    let bytes = request.ifr_name.map(|byte| byte as u8);
    CStr::from_bytes_until_nul(&bytes)
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn check(answer: c_int) -> io::Result<()> {
    match answer {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Length of a `virtio_net_hdr` without the count of merged buffers.
pub(crate) const VNET_HEADER_BYTES: usize = 10;
