#include "kernel_sim/digest/calculation.h"

namespace ktlsim::digest {

bool ComputeUserHash(Hasher& hasher, std::string_view username, std::string_view realm,
                     HashValue* out) {
  return hasher.Hash({username, ":", realm}, out);
}

bool ComputeAccountHash(Hasher& hasher, std::string_view username, std::string_view realm,
                        std::string_view password, HashValue* out) {
  return hasher.Hash({username, ":", realm, ":", password}, out);
}

bool ComputeSessionHash(Hasher& hasher, Algorithm algorithm, const HashValue& account_hash,
                        std::string_view nonce, std::string_view cnonce, HashValue* out) {
  if (!IsSession(algorithm)) {
    *out = account_hash;
    return true;
  }
  const HexText hex(account_hash);
  return hasher.Hash({hex.view(), ":", nonce, ":", cnonce}, out);
}

bool ComputeSaslSessionHash(Hasher& hasher, const HashValue& account_hash, std::string_view nonce,
                            std::string_view cnonce, std::string_view authzid, HashValue* out) {
  const std::string_view colon = authzid.empty() ? "" : ":";
  return hasher.Hash({account_hash.raw(), ":", nonce, ":", cnonce, colon, authzid}, out);
}

bool ComputeResponse(Hasher& hasher, const HashValue& session_hash, const NonceFacts& nonce,
                     const RequestFacts& request, HashValue* out) {
  const bool with_entity = nonce.qop != Qop::kAuth;
  HashValue a2;
  const bool good =
      with_entity ? hasher.Hash({request.method, ":", request.uri, ":", request.entity_hash}, &a2)
                  : hasher.Hash({request.method, ":", request.uri}, &a2);
  const HexText a1_hex(session_hash);
  const HexText a2_hex(a2);
  if (good && hasher.Hash({a1_hex.view(), ":", nonce.nonce, ":", nonce.nc, ":", nonce.cnonce, ":",
                           NameOf(nonce.qop), ":", a2_hex.view()},
                          out)) {
    return true;
  }
  *out = HashValue();
  return false;
}

bool ComputeRspauth(Hasher& hasher, const HashValue& session_hash, const NonceFacts& nonce,
                    const RequestFacts& request, HashValue* out) {
  return ComputeResponse(hasher, session_hash, nonce,
                         {.method = {}, .uri = request.uri, .entity_hash = request.entity_hash},
                         out);
}

}  // namespace ktlsim::digest
