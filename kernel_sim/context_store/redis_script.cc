#include "kernel_sim/context_store/redis_script.h"

#include <array>

#include <openssl/evp.h>

#include "kernel_sim/base/characters.h"

namespace ktlsim::context_store {

std::string StoreScriptSha() {
  std::array<unsigned char, 20> hash;
  unsigned int size = 0;
  if (EVP_Digest(kStoreScript.data(), kStoreScript.size(), hash.data(), &size, EVP_sha1(),
                 nullptr) != 1) {
    return "";
  }
  return HexOf(std::span<const unsigned char>(hash));
}

}  // namespace ktlsim::context_store
