#include "tests/system/test_client.h"

#include <ktlsim/sspi_ext.h>

#include <atomic>
#include <fstream>
#include <latch>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/work_item.h"
#include "kernel_sim/command/rundown_check.h"

namespace ktlsim::system_tests {
namespace {

using transport::Connection;
using transport::EndReason;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

// What the connections of one call have in common.
struct Job {
  transport::ClientPath& path;
  io::Loop& loop;
  const io::Address peer;
  const transport::TlsProfile& profile;
  const std::string request;
  const std::string expected;
  std::size_t to_start;   // owned by the loop
  std::size_t succeeded;  // owned by the loop until all have ended
  std::latch ended;       // slots
};

// Makes one connection after the other while the job has more to start.
class Slot final : public transport::ConnectionHandler, public WorkItem {
 public:
  explicit Slot(Job& job)
      : WorkItem([](WorkItem& item) { static_cast<Slot&>(item).Dial(); }), job_(job) {}

  const TestClient::Answer& answer() const { return answer_; }

  void OnEstablished(Connection& connection) override {
    answer_.info = connection.Info();
    sent_ = 0;
    OnWritable(connection);
  }
  void OnWritable(Connection& connection) override {
    const auto bytes = std::as_bytes(std::span(job_.request.data(), job_.request.size()));
    if (sent_ < bytes.size()) sent_ += connection.Send(bytes.subspan(sent_));
  }
  void OnPlaintext(Connection& /*connection*/, std::span<std::byte> plaintext) override {
    answer_.text.append(reinterpret_cast<const char*>(plaintext.data()), plaintext.size());
  }
  void OnEnded(Connection& /*connection*/, const EndReason& reason) override {
    answer_.reason = reason;
    if (reason.orderly() && answer_.text.ends_with(job_.expected)) ++job_.succeeded;
    job_.loop.Post(*this);
  }

 private:
  void Dial() {
    if (job_.to_start == 0) return job_.ended.count_down();
    --job_.to_start;
    answer_ = {};
    if (job_.path.Connect(job_.loop, job_.peer, job_.profile, *this) == nullptr) {
      job_.ended.count_down();
    }
  }

  Job& job_;
  TestClient::Answer answer_;
  std::size_t sent_ = 0;
};

}  // namespace

TestClient::TestClient(const std::string& trust_file, command::TlsVersions versions) {
  KtlsimOptions options{};
  options.cbSize = sizeof(options);
  options.cProcessors = 1;
  if (KtlsimStart(&options) != SEC_E_OK) {
    error_ = KtlsimLastErrorText();
    return;
  }
  command::ClientCredentialOptions credential;
  credential.versions = versions;
  credential.trust_pem = ReadFile(trust_file);
  credential_ = command::MakeClientCredential(credential, &error_);
  if (!credential_) return;
  transport::TlsOptions tls;
  tls.credential = credential_->handle();
  tls.target_name = "localhost";
  auto profile = transport::TlsProfile::Create(transport::TlsProfile::Side::kClient, tls);
  if (!profile.ok()) {
    error_ = profile.status().ToString();
    return;
  }
  profile_.emplace(std::move(*profile));
  const Status status = path_.Start({});
  if (!status.ok()) error_ = status.ToString();
}

TestClient::~TestClient() {
  path_.Stop();
  credential_.reset();
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(command::CheckRundown().Leftovers(), "");
}

TestClient::Answer TestClient::Exchange(const io::Address& peer, const std::string& request) {
  Job job{path_, *path_.loops().front(), peer, *profile_, request, "", 1, 0, std::latch(1)};
  Slot slot(job);
  job.loop.Post(slot);
  job.ended.wait();
  return slot.answer();
}

std::size_t TestClient::ExchangeMany(const io::Address& peer, const std::string& request,
                                     const std::string& expected, std::size_t connections,
                                     std::size_t in_flight) {
  Job job{path_,
          *path_.loops().front(),
          peer,
          *profile_,
          request,
          expected,
          connections,
          0,
          std::latch(static_cast<std::ptrdiff_t>(in_flight))};
  std::vector<std::unique_ptr<Slot>> slots;
  for (std::size_t i = 0; i < in_flight; ++i) {
    slots.push_back(std::make_unique<Slot>(job));
    job.loop.Post(*slots.back());
  }
  job.ended.wait();
  return job.succeeded;
}

}  // namespace ktlsim::system_tests
