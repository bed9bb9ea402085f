// SslGetServerIdentity on any bytes: the name lies inside the input.
#include <schannel.h>
#include <sspi.h>

#include <vector>

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  using ktlsim::test::Require;
  std::vector<BYTE> hello(data, data + bytes);  // AddressSanitizer reports reads beyond it
  PBYTE name = nullptr;
  DWORD name_bytes = 0;
  const SECURITY_STATUS status =
      SslGetServerIdentity(hello.data(), static_cast<DWORD>(hello.size()), &name, &name_bytes, 0);
  if (status == SEC_E_OK && name_bytes > 0) {
    Require(name >= hello.data() && name + name_bytes <= hello.data() + hello.size(),
            "the name lies elsewhere");
  }
  return 0;
}
