#include "kernel_sim/context_store/redis_script.h"

#include <array>

#include <openssl/evp.h>

namespace ktlsim::context_store {

std::string StoreScriptSha() {
  std::array<unsigned char, 20> hash;
  unsigned int size = 0;
  if (EVP_Digest(kStoreScript.data(), kStoreScript.size(), hash.data(), &size, EVP_sha1(),
                 nullptr) != 1) {
    return "";
  }
  std::string text;
  for (const unsigned char byte : hash) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace ktlsim::context_store
