//! Which tensor library runs the network.

use burn::prelude::Device;

use crate::PackError;

/// Which tensor library runs the network. This build has [`Backend::Flex`]; the other names are
/// known so that asking for them is answered clearly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// burn-flex: pure Rust on the CPU.
    #[default]
    Flex,
    /// The allocation-free CPU executor.
    Cpu,
    /// burn-ndarray.
    Ndarray,
    /// A GPU through wgpu.
    Wgpu,
}

impl Backend {
    /// All backends that have a name.
    pub const ALL: [Self; 4] = [Self::Flex, Self::Cpu, Self::Ndarray, Self::Wgpu];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Cpu => "cpu",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
        }
    }

    /// By name; `None` if there is no such backend at all.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.name() == name)
    }

    /// The device to load a network on.
    ///
    /// # Errors
    /// [`PackError::Backend`] if it is not compiled in.
    pub fn device(self) -> Result<Device, PackError> {
        match self {
            Self::Flex => Ok(Device::flex()),
            other => Err(PackError::Backend { name: other.name() }),
        }
    }
}
