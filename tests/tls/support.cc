#include "tests/tls/support.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls/record/aead_ipsec_mb.h"

namespace ktlsim::tls::test {
namespace {

Certificate::Ptr Make(KeyType type) {
  auto made = Certificate::SelfSigned(kName, type);
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  return *made;
}

}  // namespace

Certificate::Ptr EcdsaCertificate() {
  static const Certificate::Ptr certificate = Make(KeyType::kEcdsaP256);
  return certificate;
}

Certificate::Ptr RsaCertificate() {
  static const Certificate::Ptr certificate = Make(KeyType::kRsa2048);
  return certificate;
}

std::shared_ptr<Endpoint> MakeEndpoint(EndpointOptions options) {
  auto endpoint = Endpoint::Create(std::move(options));
  EXPECT_TRUE(endpoint.ok()) << endpoint.status().ToString();
  return endpoint.ok() ? *endpoint : nullptr;
}

std::shared_ptr<Endpoint> MakeServer(EndpointOptions options) {
  options.role = Role::kServer;
  if (options.certificates.empty()) options.certificates = {EcdsaCertificate()};
  return MakeEndpoint(std::move(options));
}

std::shared_ptr<Endpoint> MakeClient(EndpointOptions options) {
  options.role = Role::kClient;
  return MakeEndpoint(std::move(options));
}

std::vector<std::uint8_t> AlpnWire(std::initializer_list<std::string> names) {
  std::vector<std::uint8_t> wire;
  for (const std::string& name : names) {
    wire.push_back(static_cast<std::uint8_t>(name.size()));
    wire.insert(wire.end(), name.begin(), name.end());
  }
  return wire;
}

std::string Pattern(std::size_t size, unsigned seed) {
  std::string text(size, '\0');
  for (char& c : text) {
    seed = seed * 1103515245 + 12345;
    c = static_cast<char>(seed >> 16);
  }
  return text;
}

VersionRange Only(Version version) { return {version, version}; }

std::vector<Engine> Engines() {
  std::vector<Engine> engines = {{"Evp", &CreateEvpAead}};
  if (ProbeIpsecMb().usable) engines.push_back({"IpsecMb", &CreateIpsecMbAead});
  return engines;
}

OurSide::OurSide(const std::shared_ptr<Endpoint>& endpoint, const HandshakeOptions& options)
    : handshake(Handshake::Create(*endpoint, options)) {
  EXPECT_NE(handshake, nullptr);
}

StepResult OurSide::Advance() {
  last = handshake->Step(inbox);
  inbox.erase(inbox.begin(), inbox.begin() + static_cast<std::ptrdiff_t>(last.consumed));
  const auto output = handshake->pending_output();
  outbox.insert(outbox.end(), output.begin(), output.end());
  handshake->DiscardOutput(output.size());
  if (last.outcome == StepOutcome::kEstablished && !connection) {
    auto taken = handshake->TakeOver();
    EXPECT_TRUE(taken.ok()) << taken.status().ToString();
    if (taken.ok()) connection.emplace(std::move(taken).value());
    handshake.reset();
  }
  return last;
}

void OurSide::Write(const std::string& text) {
  RecordWriter& writer = connection->writer;
  std::size_t at = 0;
  do {
    const std::size_t part = std::min(text.size() - at, writer.max_fragment());
    Buffer header(writer.header_bytes());
    Buffer data(part);
    Buffer trailer(writer.trailer_bytes());
    std::ranges::copy(std::as_bytes(std::span(text).subspan(at, part)), data.begin());
    const SealResult sealed = writer.Seal(ContentType::kApplicationData, header, data, trailer);
    ASSERT_EQ(sealed.outcome, SealOutcome::kSealed);
    for (const Buffer* piece : {&header, &data, &trailer}) {
      outbox.insert(outbox.end(), piece->begin(), piece->end());
    }
    at += part;
  } while (at < text.size());
}

void OurSide::WriteAlert(Alert alert) {
  Buffer record(RecordWriter::kControlRecordBytesMax);
  std::size_t used = 0;
  ASSERT_EQ(connection->writer.SealAlert(alert, record, used), SealOutcome::kSealed);
  outbox.insert(outbox.end(), record.begin(), record.begin() + static_cast<std::ptrdiff_t>(used));
}

void OurSide::UpdateKey(bool request_peer) {
  Buffer record(RecordWriter::kControlRecordBytesMax);
  std::size_t used = 0;
  ASSERT_EQ(connection->writer.SealKeyUpdate(request_peer, record, used), SealOutcome::kSealed);
  outbox.insert(outbox.end(), record.begin(), record.begin() + static_cast<std::ptrdiff_t>(used));
}

std::string OurSide::Read() {
  std::string text;
  std::span<std::byte> rest(inbox);
  while (!rest.empty()) {
    opened = connection->reader.Open(rest);
    if (opened.outcome == OpenResult::Outcome::kOpened) {
      EXPECT_EQ(opened.header_bytes + opened.fragment.size() + opened.trailer_bytes,
                opened.consumed);
      if (opened.type == ContentType::kApplicationData) {
        text.append(reinterpret_cast<const char*>(opened.fragment.data()), opened.fragment.size());
      } else {
        HandlePostHandshake(opened.fragment);
      }
    } else if (opened.outcome != OpenResult::Outcome::kIgnored) {
      break;
    }
    rest = rest.subspan(opened.consumed);
  }
  inbox.erase(inbox.begin(), inbox.end() - static_cast<std::ptrdiff_t>(rest.size()));
  return text;
}

void OurSide::HandlePostHandshake(std::span<const std::byte> fragment) {
  post = connection->post_handshake->Consume(fragment, connection->reader);
  if (post.ticket_stored) ++tickets_seen;
  switch (post.outcome) {
    case PostHandshakeResult::Outcome::kKeyUpdate:
      ++key_updates_seen;
      if (post.update_requested) UpdateKey(false);
      break;
    case PostHandshakeResult::Outcome::kSendAlert:
    case PostHandshakeResult::Outcome::kFailed:
      WriteAlert(post.alert);
      break;
    case PostHandshakeResult::Outcome::kAbsorbed:
    case PostHandshakeResult::Outcome::kAbsorbedPart:
      break;
  }
}

ContextPtr MakeLibsslContext(Role role, const LibsslOptions& options) {
  ContextPtr context(
      SSL_CTX_new(role == Role::kClient ? TLS_client_method() : TLS_server_method()));
  SSL_CTX_set_min_proto_version(context.get(), static_cast<int>(options.versions.min));
  SSL_CTX_set_max_proto_version(context.get(), static_cast<int>(options.versions.max));
  if (!options.suite.empty()) {
    const bool tls13 = options.suite.starts_with("TLS_");
    EXPECT_EQ(tls13 ? SSL_CTX_set_ciphersuites(context.get(), options.suite.c_str())
                    : SSL_CTX_set_cipher_list(context.get(), options.suite.c_str()),
              1);
  }
  if (options.certificate != nullptr) {
    const unsigned char* at = options.certificate->leaf().data();
    X509* leaf = d2i_X509(nullptr, &at, static_cast<long>(options.certificate->leaf().size()));
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), leaf), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), options.certificate->private_key()), 1);
    X509_free(leaf);
  }
  if (options.tickets >= 0) {
    SSL_CTX_set_num_tickets(context.get(), static_cast<std::size_t>(options.tickets));
    if (options.tickets == 0) SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  }
  if (!options.trust_pem.empty()) {
    BIO* bio =
        BIO_new_mem_buf(options.trust_pem.data(), static_cast<int>(options.trust_pem.size()));
    X509* trusted = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), trusted);
    X509_free(trusted);
    BIO_free(bio);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  constexpr unsigned char kContext[] = "libssl side";
  SSL_CTX_set_session_id_context(context.get(), kContext, sizeof kContext);
  return context;
}

LibsslSide::LibsslSide(SSL_CTX* context, Role role) : ssl(SSL_new(context)) {
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
  if (role == Role::kClient) {
    SSL_set_connect_state(ssl);
    SSL_set_tlsext_host_name(ssl, kName);
  } else {
    SSL_set_accept_state(ssl);
  }
}

LibsslSide::~LibsslSide() { SSL_free(ssl); }

bool LibsslSide::Advance() {
  ERR_clear_error();
  const int returned = SSL_do_handshake(ssl);
  const int code = SSL_get_error(ssl, returned);
  return code == SSL_ERROR_NONE || code == SSL_ERROR_WANT_READ;
}

void LibsslSide::Feed(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  BIO_write(SSL_get_rbio(ssl), bytes.data(), static_cast<int>(bytes.size()));
}

Buffer LibsslSide::Drain() {
  BIO* bio = SSL_get_wbio(ssl);
  Buffer bytes(BIO_ctrl_pending(bio));
  if (!bytes.empty()) BIO_read(bio, bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

void LibsslSide::Write(const std::string& text) {
  ERR_clear_error();
  std::size_t written = 0;
  EXPECT_EQ(SSL_write_ex(ssl, text.data(), text.size(), &written), 1);
}

std::string LibsslSide::Read() {
  ERR_clear_error();
  std::string text;
  char block[16384];
  std::size_t size = 0;
  while (SSL_read_ex(ssl, block, sizeof block, &size) == 1) text.append(block, size);
  return text;
}

void Move(OurSide& from, LibsslSide& to) {
  to.Feed(from.outbox);
  from.outbox.clear();
}

void Move(LibsslSide& from, OurSide& to) {
  const Buffer bytes = from.Drain();
  to.inbox.insert(to.inbox.end(), bytes.begin(), bytes.end());
}

void Move(OurSide& from, OurSide& to) {
  to.inbox.insert(to.inbox.end(), from.outbox.begin(), from.outbox.end());
  from.outbox.clear();
}

namespace {
constexpr int kRoundsMax = 20;
bool Wants(const OurSide& side) { return side.handshake != nullptr && !side.established(); }
}  // namespace

bool RunHandshake(OurSide& ours, LibsslSide& theirs) {
  for (int round = 0; round < kRoundsMax; ++round) {
    if (Wants(ours)) ours.Advance();
    Move(ours, theirs);
    if (!theirs.established()) theirs.Advance();
    Move(theirs, ours);
    if (ours.established() && theirs.established()) return true;
    if (ours.last.outcome == StepOutcome::kFailed) return false;
  }
  return false;
}

bool RunHandshake(OurSide& client, OurSide& server) {
  for (int round = 0; round < kRoundsMax; ++round) {
    if (Wants(client)) client.Advance();
    Move(client, server);
    if (Wants(server)) server.Advance();
    Move(server, client);
    if (client.established() && server.established()) return true;
    if (client.last.outcome == StepOutcome::kFailed &&
        server.last.outcome == StepOutcome::kFailed) {
      return false;
    }
  }
  return false;
}

}  // namespace ktlsim::tls::test
