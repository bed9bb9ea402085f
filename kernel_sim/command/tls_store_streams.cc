#include "kernel_sim/command/tls_store_streams.h"

#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "kernel_sim/base/work_item.h"

namespace ktlsim::command {
namespace {

using context_store::RedisStreamHandler;
using transport::Connection;

class TlsStoreStream final : public context_store::RedisStream,
                             private transport::ConnectionHandler {
 public:
  TlsStoreStream(transport::ClientPath& path, const transport::TlsProfile& profile, io::Loop& loop,
                 RedisStreamHandler& handler)
      : path_(path), profile_(profile), loop_(loop), handler_(handler) {}

  void Connect(const io::Address& server) override {
    words_.clear();
    unsent_ = {};
    connection_ = path_.Connect(loop_, server, profile_, *this);
    if (connection_ == nullptr) loop_.Post(refused_);
  }
  [[nodiscard]] bool Send(std::span<const std::byte> bytes) override {
    unsent_ = bytes;
    return SendMore();
  }
  void Close() override {
    unsent_ = {};
    if (connection_ != nullptr) connection_->Abort();
  }

 private:
  class Refused final : public WorkItem {
   public:
    explicit Refused(TlsStoreStream& stream)
        : WorkItem([](WorkItem& item) {
            static_cast<Refused&>(item).stream_.handler_.OnStreamEnded(
                "there is no memory for a connection");
          }),
          stream_(stream) {}

   private:
    TlsStoreStream& stream_;
  };

  void OnEstablished(Connection& /*connection*/) override { handler_.OnStreamOpen(); }
  void OnPlaintext(Connection& /*connection*/, std::span<std::byte> plaintext) override {
    handler_.OnStreamBytes(plaintext);
  }
  void OnWritable(Connection& /*connection*/) override {
    if (!unsent_.empty() && SendMore()) handler_.OnStreamSent();
  }
  void OnEnded(Connection& /*connection*/, const transport::EndReason& reason) override {
    connection_ = nullptr;
    unsent_ = {};
    try {
      words_ = reason.orderly() ? "the server closed the connection" : reason.ToString();
    } catch (const std::bad_alloc&) {
      words_.clear();
    }
    handler_.OnStreamEnded(words_);
  }

  bool SendMore() {
    if (connection_ == nullptr) return false;
    unsent_ = unsent_.subspan(connection_->Send(unsent_));
    return unsent_.empty();
  }

  transport::ClientPath& path_;
  const transport::TlsProfile& profile_;
  io::Loop& loop_;
  RedisStreamHandler& handler_;
  Connection* connection_ = nullptr;
  std::span<const std::byte> unsent_;
  std::string words_;
  Refused refused_{*this};
};

}  // namespace

std::unique_ptr<TlsStoreStreams> TlsStoreStreams::Start(const std::string& host,
                                                        const std::string& ca_file,
                                                        std::string* error) {
  ClientCredentialOptions options;
  options.trust_file = ca_file;
  std::optional<Credential> credential = MakeClientCredential(options, error);
  if (!credential.has_value()) return nullptr;
  transport::TlsOptions tls;
  tls.credential = credential->handle();
  tls.target_name = host;
  Result<transport::TlsProfile> profile =
      transport::TlsProfile::Create(transport::TlsProfile::Side::kClient, std::move(tls));
  if (!profile) {
    *error = profile.status().ToString();
    return nullptr;
  }
  std::unique_ptr<TlsStoreStreams> made(
      new TlsStoreStreams(std::move(*credential), std::move(*profile)));
  const Status started = made->path_.Start({});
  if (started.ok()) return made;
  *error = started.ToString();
  return nullptr;
}

TlsStoreStreams::~TlsStoreStreams() { path_.Stop(); }

std::unique_ptr<context_store::RedisStream> TlsStoreStreams::Make(io::Loop& loop,
                                                                  RedisStreamHandler& handler) {
  return std::make_unique<TlsStoreStream>(path_, profile_, loop, handler);
}

}  // namespace ktlsim::command
