// LocalCertificates: an endpoint's own certificates as OpenSSL wants them, and which of them a
// handshake presents. Private to this module.
//
// Immutable once loaded; one thread at a time, the endpoint's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ssl.h>

#include "kernel_sim/base/status.h"
#include "tls/identity/certificate.h"
#include "tls/identity/server_names.h"
#include "tls/openssl_handles.h"

namespace ktlsim::tls {

struct EndpointOptions;

class LocalCertificates {
 public:
  // Parses the certificates of `options` and has OpenSSL check every one, so that no client is the
  // first to find one unusable. A server's default goes into `context`. `*message` says which one
  // failed and why, where that is known. May throw bad_alloc.
  Status Load(const EndpointOptions& options, SSL_CTX* context, std::string* message);

  enum class Choice : std::uint8_t {
    kMade,
    kNoneFits,
    kFailed,  // no memory
  };
  // A server's, for the name that the client asks for; empty: none. kNoneFits: strict, and there is
  // no certificate for the name.
  Choice ChooseForName(SSL* ssl, std::string_view server_name) const;

  // The candidates of ChooseForName: a server's certificates for that name, one of each kind of
  // key.
  std::vector<const Certificate*> AnswerTo(std::string_view server_name) const;

  // A client's, once the server has asked: the first that the server's signature algorithms allow
  // and that comes from an issuer it names (with `any_issuer` it need not).
  Choice ChooseForRequest(SSL* ssl, bool any_issuer) const;

  // The certificate that OpenSSL chose, or nullptr.
  Certificate::Ptr Find(const X509* leaf) const;

 private:
  struct Loaded {
    Certificate::Ptr certificate;
    X509Ptr leaf;
    X509StackPtr issuers;
    int key_kind = 0;  // OpenSSL presents one certificate of each kind
  };

  Status Parse(const Certificate::Ptr& certificate, Loaded* loaded) const;
  Status NameThem(const EndpointOptions& options);
  void ChooseDefault(const EndpointOptions& options);
  ServerNameTable::Places PlacesFor(std::string_view server_name) const;
  ServerNameTable::Places OnePerKind(const ServerNameTable::Places& places) const;

  std::vector<Loaded> loaded_;  // of the options, in their order
  ServerNameTable names_;
  ServerNameTable::Places default_;
  bool strict_ = false;
};

}  // namespace ktlsim::tls
