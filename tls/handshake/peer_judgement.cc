#include "tls/handshake/peer_judgement.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tls/crypto_failure.h"
#include "tls/handshake/endpoint_core.h"
#include "tls/handshake/ssl_connection.h"

namespace ktlsim::tls {
namespace {

int Fail(X509_STORE_CTX* context, int error) {
  X509_STORE_CTX_set_error(context, error);
  return 0;
}

// Repeats what libssl has just done (ssl_verify_cert_chain), in the same order.
bool CopyParameters(X509_STORE_CTX* context, SSL* ssl) {
  return X509_STORE_CTX_set_default(context,
                                    SSL_is_server(ssl) == 1 ? "ssl_client" : "ssl_server") == 1 &&
         X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(context), SSL_get0_param(ssl)) == 1;
}

// `error`, unless memory was short, which is no verdict on a certificate.
int ErrorOr(int error) { return DrainTellsOfMemory() ? X509_V_ERR_OUT_OF_MEM : error; }

int JudgeName(X509* leaf, const SslConnection& connection) {
  if (!connection.options().check_name) return X509_V_OK;
  if (!connection.server_address().empty()) {
    return X509_check_ip_asc(leaf, connection.server_address().c_str(), 0) == 1
               ? X509_V_OK
               : ErrorOr(X509_V_ERR_IP_ADDRESS_MISMATCH);
  }
  const std::string& name = connection.server_name();
  if (name.empty()) return X509_V_OK;
  return X509_check_host(leaf, name.data(), name.size(), SslConnection::kHostFlags, nullptr) == 1
             ? X509_V_OK
             : ErrorOr(X509_V_ERR_HOSTNAME_MISMATCH);
}

// X509_V_OK, or what is wrong apart from the chain, the leaf's own faults first.
int JudgeLeaf(X509* leaf, const SslConnection& connection) {
  const bool client = connection.role() == Role::kClient;
  const int purpose = client ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
  if (X509_check_purpose(leaf, purpose, 0) != 1) return ErrorOr(X509_V_ERR_INVALID_PURPOSE);
  const int name = client ? JudgeName(leaf, connection) : X509_V_OK;
  if (name != X509_V_OK || !connection.options().check_revocation) return name;
  return X509_V_ERR_OCSP_VERIFY_NEEDED;
}

}  // namespace

int JudgePeerCertificate(X509_STORE_CTX* context, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  SslConnection& connection = SslConnection::Of(ssl);
  ERR_clear_error();
  connection.NoteMemory();  // a shortage in libssl just before
  if (!CopyParameters(context, ssl)) return Fail(context, X509_V_ERR_OUT_OF_MEM);
  X509_STORE_CTX_set_time(context, 0, connection.core().VerificationTime());
  const int passed = X509_verify_cert(context);
  // OpenSSL reports a shortage in many ways. A chain that could not be built for lack of memory is
  // judged neither good nor bad, not even for a caller that only records the verdict.
  connection.NoteMemory();
  if (DrainTellsOfMemory() || connection.ran_out_of_memory()) {
    return Fail(context, X509_V_ERR_OUT_OF_MEM);
  }
  if (passed != 1) return passed == 0 ? 0 : Fail(context, X509_V_ERR_UNSPECIFIED);
  const int error = JudgeLeaf(X509_STORE_CTX_get0_cert(context), connection);
  if (error == X509_V_OK) return 1;
  if (error == X509_V_ERR_OUT_OF_MEM || connection.options().verify_peer) {
    return Fail(context, error);
  }
  connection.NoteVerifyError(error);
  return 1;
}

int AcceptPeerCertificate(X509_STORE_CTX* context, void*) {
  X509_STORE_CTX_set_error(context, X509_V_OK);
  return 1;
}

}  // namespace ktlsim::tls
