#include "kernel_sim/sspi/packages/all_packages.h"

#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/packages/tls_package.h"

namespace ktlsim::sspi {

std::span<Package* const> AllPackages() {
  static Package* const packages[] = {
      &TlsPackage::Instance(),
      &DigestPackage::Instance(),
  };
  return packages;
}

}  // namespace ktlsim::sspi
