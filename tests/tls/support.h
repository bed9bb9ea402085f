// What the tests of this folder share: our side of a connection, an OpenSSL side, and a pump
// between them. No sockets: bytes move when a test moves them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tls/handshake/endpoint.h"
#include "tls/handshake/handshake.h"
#include "tls/identity/certificate.h"
#include "tls/record/aead_engine.h"

namespace ktlsim::tls::test {

using Buffer = std::vector<std::byte>;

inline constexpr const char* kName = "ktlsim.test";

// Made once per process.
Certificate::Ptr EcdsaCertificate();
Certificate::Ptr RsaCertificate();

std::shared_ptr<Endpoint> MakeEndpoint(EndpointOptions options);
std::shared_ptr<Endpoint> MakeServer(EndpointOptions options = {});
std::shared_ptr<Endpoint> MakeClient(EndpointOptions options = {});
std::vector<std::uint8_t> AlpnWire(std::initializer_list<std::string> names);
std::string Pattern(std::size_t size, unsigned seed = 1);
VersionRange Only(Version version);

// An engine with a name that can be part of a test's name.
struct Engine {
  const char* name;
  AeadFactory factory;
};
// The engines that are available on this machine, EVP first.
std::vector<Engine> Engines();

// A connection made by this module.
class OurSide {
 public:
  explicit OurSide(const std::shared_ptr<Endpoint>& endpoint, const HandshakeOptions& options = {});

  // Steps the handshake with the bytes in `inbox`, and takes the connection over when it is done.
  StepResult Advance();
  bool established() const { return connection.has_value(); }

  void Write(const std::string& text);
  void WriteAlert(Alert alert);
  void UpdateKey(bool request_peer);
  // Opens every record in `inbox`, replies where a reply is due, and returns the application data.
  std::string Read();

  std::unique_ptr<Handshake> handshake;
  std::optional<Established> connection;
  Buffer inbox;
  Buffer outbox;
  StepResult last;
  // The last outcome of Read.
  OpenResult opened;
  PostHandshakeResult post;
  unsigned tickets_seen = 0;
  unsigned key_updates_seen = 0;

 private:
  void HandlePostHandshake(std::span<const std::byte> fragment);
};

struct SslCtxDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, SslCtxDeleter>;

struct LibsslOptions {
  VersionRange versions;
  std::string suite;  // OpenSSL's name; empty: the defaults
  Certificate::Ptr certificate;
  int tickets = -1;
  std::string trust_pem;
};
ContextPtr MakeLibsslContext(Role role, const LibsslOptions& options);

// A connection made by an unmodified libssl over memory BIOs.
class LibsslSide {
 public:
  LibsslSide(SSL_CTX* context, Role role);
  ~LibsslSide();

  // False: failed. Input and output go through Feed and Drain.
  bool Advance();
  bool established() const { return SSL_is_init_finished(ssl) == 1; }
  void Feed(std::span<const std::byte> bytes);
  Buffer Drain();
  void Write(const std::string& text);
  std::string Read();

  SSL* ssl;
};

// Until neither side has anything to send. True: both sides are established.
bool RunHandshake(OurSide& ours, LibsslSide& theirs);
bool RunHandshake(OurSide& client, OurSide& server);

void Move(OurSide& from, LibsslSide& to);
void Move(LibsslSide& from, OurSide& to);
void Move(OurSide& from, OurSide& to);

// Sizes just below and above every limit.
inline constexpr std::size_t kSizes[] = {0, 1, 15, 16, 17, 1000, 16383, 16384};

}  // namespace ktlsim::tls::test
