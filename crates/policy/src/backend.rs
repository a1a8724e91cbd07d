//! Which tensor library runs the network, and on what.

use burn::prelude::Device;

use crate::PackError;

/// Which of Burn's tensor libraries runs the network. A build has [`Backend::Flex`] and those whose
/// feature is on; the other names are known so that asking for them is answered clearly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// burn-flex: pure Rust on the CPU.
    #[default]
    Flex,
    /// burn-ndarray: pure Rust on the CPU, older and slower.
    Ndarray,
    /// A GPU through wgpu.
    Wgpu,
}

impl Backend {
    /// All backends that have a name.
    pub const ALL: [Self; 3] = [Self::Flex, Self::Ndarray, Self::Wgpu];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
        }
    }

    /// By name; `None` if there is no such backend at all.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.name() == name)
    }

    /// Whether this build has it.
    pub const fn is_compiled(self) -> bool {
        match self {
            Self::Flex => true,
            Self::Ndarray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
        }
    }

    /// The device to load a network on.
    ///
    /// # Errors
    /// [`PackError::Backend`] if it is not compiled in, [`PackError::Device`] if the machine has no
    /// device for it.
    pub fn device(self) -> Result<Device, PackError> {
        Ok(self.chosen()?.0)
    }

    /// What that device calls itself.
    ///
    /// # Errors
    /// As [`Self::device`].
    pub fn device_name(self) -> Result<String, PackError> {
        Ok(self.chosen()?.1)
    }

    fn chosen(self) -> Result<(Device, String), PackError> {
        match self {
            Self::Flex => Ok((Device::flex(), "CPU".into())),
            #[cfg(feature = "ndarray")]
            #[expect(
                deprecated,
                reason = "Burn keeps it for now, and so do we, as a second opinion"
            )]
            Self::Ndarray => Ok((Device::ndarray(), "CPU".into())),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => {
                gpu::chosen().map_err(|message| PackError::Device { name: self.name(), message })
            }
            #[allow(unreachable_patterns, reason = "depends on the features")]
            other => {
                let known = Self::ALL.into_iter().filter(|b| b.is_compiled());
                let known = known.map(Self::name).collect::<Vec<_>>().join(", ");
                Err(PackError::Backend { name: other.name(), known })
            }
        }
    }
}

#[cfg(feature = "wgpu")]
mod gpu {
    use std::sync::OnceLock;

    use burn::prelude::Device;

    /// Chosen once: Burn registers a runtime for good, and drivers dislike to be asked again.
    static CHOSEN: OnceLock<Result<(Device, String), String>> = OnceLock::new();

    /// The device that wgpu likes best (a GPU before a CPU that plays one), and its name.
    /// `CUBECL_WGPU_DEFAULT_DEVICE` names another: `Cpu`, `DiscreteGpu(1)`, ….
    pub fn chosen() -> Result<(Device, String), String> {
        CHOSEN.get_or_init(choose).clone()
    }

    fn choose() -> Result<(Device, String), String> {
        // Loader and driver are not ours: where they panic there is no device either.
        let asked = std::panic::catch_unwind(|| Device::wgpu_options().init_with_setup());
        match asked {
            Ok(Ok((device, setup))) => {
                let info = setup.adapter.get_info();
                let name = format!(
                    "{} ({:?}, {} {})",
                    info.name, info.backend, info.driver, info.driver_info
                );
                Ok((device, name))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the graphics driver failed when it was asked".into()),
        }
    }
}
