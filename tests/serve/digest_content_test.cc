// Requests to a guarded responder on a processor of the library, without TLS and sockets.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/serve/digest_guard.h"
#include "kernel_sim/serve/http_responder.h"
#include "kernel_sim/transport/processors.h"
#include "tests/serve/fake_connection.h"
#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"
#include "tests/support/hang_limit.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::serve {
namespace {

using transport::RunOnLoop;
using Operation = test::ScriptedStore::Operation;

constexpr const char* kUri = "/dir/index.html";

// Remembers what it was told.
struct Watcher final : DigestWatcher {
  void OnDigest(DigestOutcome outcome, const transport::Connection& /*connection*/,
                std::string_view target, SECURITY_STATUS status) override {
    last = outcome;
    last_target = target;
    last_status = status;
  }
  std::optional<DigestOutcome> last;
  std::string last_target;
  SECURITY_STATUS last_status = SEC_E_OK;
};

struct OneCredential final : DigestCredentials {
  explicit OneCredential(const CredHandle& one) : handle(one) {}
  CredHandle Current() override { return handle; }
  CredHandle handle;
};

// The library with one processor, for as long as a test.
class OneProcessor {
 public:
  OneProcessor() {
    KtlsimOptions options{};
    options.cbSize = sizeof(options);
    options.cProcessors = 1;
    EXPECT_EQ(KtlsimStart(&options), SEC_E_OK) << KtlsimLastErrorText();
  }
  ~OneProcessor() {
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    KtlsimStatistics left{};
    left.cbSize = sizeof(left);
    EXPECT_EQ(KtlsimQueryStatistics(&left), SEC_E_OK);
    EXPECT_EQ(left.cAsyncContexts, 0U);
    EXPECT_EQ(left.cSecurityContexts, 0U);
    EXPECT_EQ(left.cMisuse, 0U);
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
};

class DigestContentTest : public testing::Test {
 protected:
  DigestContentTest() {
    options_.respond_bytes = 5;
    options_.guard = &guard_;
    connection_.its_loop = loop_;
  }
  ~DigestContentTest() override {
    Hang();
    guard_.Stop();
    contexts_.DeleteAll();
    client_.Delete();
  }

  // All that is sent for `request`, once there is a whole head.
  std::string Ask(const std::string& request) {
    Send(request);
    return WaitForHead();
  }
  void Send(const std::string& request) {
    RunOnLoop(*loop_, [&] {
      connection_.sent.clear();
      connection_.closed = false;
      if (handler_ == nullptr) handler_ = MakeHttpResponder(options_, connection_);
      connection_.Receive(*handler_, request);
    });
  }
  std::string WaitForHead() {
    const std::uint64_t end_ns = MonotonicClock::Now() + 30 * kNsPerSecond;
    std::string sent;
    while (sent.find("\r\n\r\n") == std::string::npos && MonotonicClock::Now() < end_ns) {
      RunOnLoop(*loop_, [&] { sent = connection_.sent; });
    }
    return sent;
  }
  static std::string RequestText(const std::string& authorization) {
    return std::string("GET ") + kUri + " HTTP/1.1\r\nHost: h\r\n" +
           (authorization.empty() ? "" : "Authorization: Digest " + authorization + "\r\n") +
           "\r\n";
  }
  std::string Get(const std::string& authorization = {}) { return Ask(RequestText(authorization)); }
  void Hang() {
    RunOnLoop(*loop_, [&] {
      if (handler_ != nullptr) connection_.End(*std::exchange(handler_, nullptr));
    });
  }
  static unsigned StatusOf(const std::string& response) {
    return response.size() < 12 ? 0 : static_cast<unsigned>(std::stoi(response.substr(9, 3)));
  }
  // The challenge number `which` of a response.
  static std::string ChallengeOf(const std::string& response, int which = 0) {
    constexpr std::string_view kField = "\r\nWWW-Authenticate: Digest ";
    std::size_t at = response.find(kField);
    for (; which > 0 && at != std::string::npos; --which) at = response.find(kField, at + 1);
    if (at == std::string::npos) return {};
    at += kField.size();
    return response.substr(at, response.find("\r\n", at) - at);
  }
  static std::string InfoOf(const std::string& response) {
    constexpr std::string_view kField = "\r\nAuthentication-Info: ";
    const std::size_t at = response.find(kField);
    if (at == std::string::npos) return {};
    const std::size_t begin = at + kField.size();
    return response.substr(begin, response.find("\r\n", begin) - begin);
  }
  std::uint64_t Count(DigestOutcome outcome) const { return guard_.Statistics().Of(outcome); }
  // A client that has a context; its first header.
  std::string LogIn() {
    std::string header = client_.Respond(ChallengeOf(Get()));
    EXPECT_EQ(StatusOf(Get(header)), 200U);
    return header;
  }

  OneProcessor library_;
  test::DigestServer server_;
  test::DigestClient client_;
  io::Loop* const loop_ = transport::LoopsOfRole("").value().front();
  DigestContexts contexts_;
  Watcher watcher_;
  OneCredential credential_{*server_.credential()};
  DigestGuard guard_{
      {.credentials = &credential_, .paths = {}, .contexts = &contexts_, .watcher = &watcher_}};
  HttpOptions options_;
  FakeConnection connection_;
  transport::ConnectionHandler* handler_ = nullptr;
};

TEST_F(DigestContentTest, ChallengesAndThenServes) {
  const std::string challenged = Get();
  EXPECT_EQ(StatusOf(challenged), 401U);
  EXPECT_NE(challenged.find("Content-Length: 17\r\n"), std::string::npos) << challenged;
  EXPECT_TRUE(challenged.ends_with("\r\n\r\n401 Unauthorized\n")) << challenged;
  const std::string served = Get(client_.Respond(ChallengeOf(challenged)));
  EXPECT_TRUE(served.ends_with("\r\n\r\nabcde")) << served;
  EXPECT_EQ(served.find("WWW-Authenticate"), std::string::npos);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(StatusOf(Get(client_.Sign())), 200U);
  EXPECT_EQ(Count(DigestOutcome::kChallenged), 1U);
  EXPECT_EQ(Count(DigestOutcome::kAuthenticated), 1U);
  EXPECT_EQ(Count(DigestOutcome::kMaintained), 3U);
  EXPECT_EQ(contexts_.size(), 1U);
  EXPECT_FALSE(watcher_.last.has_value());
}

TEST_F(DigestContentTest, AContextIsGoodOnEveryConnection) {
  LogIn();
  Hang();
  EXPECT_EQ(StatusOf(Get(client_.Sign())), 200U);
  Hang();
  EXPECT_EQ(StatusOf(Get(client_.Sign())), 200U);
  EXPECT_EQ(Count(DigestOutcome::kMaintained), 2U);
}

TEST_F(DigestContentTest, AReplayIsChallengedAsStale) {
  const std::string first = LogIn();
  const std::string second = client_.Sign();
  EXPECT_EQ(StatusOf(Get(second)), 200U);
  for (const std::string& old : {first, second}) {
    const std::string response = Get(old);
    EXPECT_EQ(StatusOf(response), 401U);
    EXPECT_TRUE(ChallengeOf(response).ends_with(", stale=true")) << response;
    EXPECT_EQ(watcher_.last, DigestOutcome::kReplayed);
    EXPECT_EQ(watcher_.last_target, kUri);
    EXPECT_EQ(watcher_.last_status, SEC_E_OUT_OF_SEQUENCE);
  }
  EXPECT_EQ(Count(DigestOutcome::kReplayed), 2U);
}

TEST_F(DigestContentTest, AWrongPasswordIsNotStale) {
  test::DigestClient stranger("Mufasa", "other");
  const std::string response = Get(stranger.Respond(ChallengeOf(Get())));
  EXPECT_EQ(StatusOf(response), 401U);
  EXPECT_NE(ChallengeOf(response), "");
  EXPECT_EQ(response.find("stale"), std::string::npos) << response;
  EXPECT_EQ(watcher_.last, DigestOutcome::kRefused);
  EXPECT_EQ(Count(DigestOutcome::kRefused), 1U);
}

// Whoever only guesses gets no further on one connection; who has a slip of memory does.
TEST_F(DigestContentTest, AConnectionOfGuessesIsClosed) {
  const auto guess = [this] {
    test::DigestClient stranger("Mufasa", "other");
    const std::string response = Get(stranger.Respond(ChallengeOf(Get())));
    EXPECT_EQ(StatusOf(response), 401U);
    return response.find("Connection: close\r\n") != std::string::npos;
  };
  for (unsigned i = 1; i < kDigestRefusalsMax; ++i) EXPECT_FALSE(guess()) << i;
  LogIn();
  for (unsigned i = 1; i < kDigestRefusalsMax; ++i) EXPECT_FALSE(guess()) << i;
  EXPECT_TRUE(guess());
  EXPECT_TRUE(connection_.closed);
}

// A guard that records.
class RecordedDigestContentTest : public DigestContentTest {
 protected:
  RecordedDigestContentTest() { options_.guard = &recording_; }
  ~RecordedDigestContentTest() override {
    Hang();
    recording_.Stop();
  }

  static audit::AuditOptions TrailOptions(const std::string& path, std::string_view key) {
    audit::AuditOptions options;
    options.path = path;
    options.secret = std::as_bytes(std::span(key.data(), key.size()));
    return options;
  }
  // Closes the trail. The lines about log-ons.
  std::vector<std::string> Logons() {
    EXPECT_TRUE(trail_.value()->Close().ok());
    std::ifstream file(folder_.File("audit.log"));
    std::vector<std::string> logons;
    for (std::string line; std::getline(file, line);) {
      if (line.find("\"event\":\"logon\"") != std::string::npos) logons.push_back(line);
    }
    return logons;
  }

  const test::TemporaryFolder folder_;
  const std::string key_ = std::string(32, 'k');
  Result<std::unique_ptr<audit::AuditTrail>> trail_ =
      audit::AuditTrail::Open(TrailOptions(folder_.File("audit.log"), key_));
  std::atomic<std::uint64_t> connections_{7};
  DigestGuard recording_{{.credentials = &credential_,
                          .paths = {},
                          .contexts = &contexts_,
                          .watcher = &watcher_,
                          .trail = trail_.value().get(),
                          .connections = &connections_}};
};

// With the name that it claims; a response that is right leaves none.
TEST_F(RecordedDigestContentTest, AWrongPasswordLeavesALineInTheTrail) {
  LogIn();
  test::DigestClient stranger("Mufasa", "other");
  EXPECT_EQ(StatusOf(Get(stranger.Respond(ChallengeOf(Get())))), 401U);
  const std::vector<std::string> logons = Logons();
  ASSERT_EQ(logons.size(), 1U);
  for (
      const char* const part :
      {R"("outcome":"failure","reason":"denied","claimed":"Mufasa","server":{"user":")",
       R"("subsystem":"ktlsim serve","type":"WDigest","object":"/dir/index.html","connection":8,"prev")"}) {
    EXPECT_NE(logons[0].find(part), std::string::npos) << logons[0];
  }
  EXPECT_EQ(logons[0].find("response"), std::string::npos) << "nothing to guess with";
  // What cannot be recorded is not answered with another challenge.
  test::DigestClient next("Mufasa", "other");
  const std::string response = Get(next.Respond(ChallengeOf(Get())));
  EXPECT_EQ(StatusOf(response), 503U);
  EXPECT_EQ(ChallengeOf(response), "");
}

TEST_F(RecordedDigestContentTest, ALineSaysWhatWasWrong) {
  const std::string first = LogIn();
  EXPECT_EQ(StatusOf(Get(first)), 401U);
  const std::vector<std::string> logons = Logons();
  ASSERT_EQ(logons.size(), 1U);
  EXPECT_NE(logons[0].find(R"("reason":"replayed")"), std::string::npos) << logons[0];
}

// Deleted on another server, between the two calls that a request takes: it is looked for again.
TEST_F(DigestContentTest, AContextThatEndsMeanwhileIsLookedForAgain) {
  test::DigestWorld world;
  LogIn();
  world.store().Hold(Operation::kAdvance);
  Send(RequestText(client_.Sign()));
  world.store().WaitForHeld();
  world.store().Hold(Operation::kAdvance, false);
  world.store().LetGo(context_store::StoreResult::kNotFound, false);
  EXPECT_EQ(StatusOf(WaitForHead()), 200U) << "by what the store has of it";
  EXPECT_EQ(Count(DigestOutcome::kMaintained), 1U);
  EXPECT_EQ(StatusOf(Get(client_.Sign())), 200U);
  // Once only.
  world.store().Refuse(Operation::kAdvance, context_store::StoreResult::kNotFound);
  const std::string response = Get(client_.Sign());
  EXPECT_EQ(StatusOf(response), 401U);
  EXPECT_NE(ChallengeOf(response), "");
  EXPECT_EQ(watcher_.last, DigestOutcome::kRefused);
  EXPECT_EQ(watcher_.last_status, SEC_E_INVALID_HANDLE);
  Hang();
}

// A replay of what another server has served: its context is here from then on, and is not left
// over.
TEST_F(DigestContentTest, AContextOfAnotherServerIsDeletedAtTheEnd) {
  const test::DigestWorld world;
  const std::string first = LogIn();
  const digest::Opaque opaque =
      digest::Opaque::Parse(test::ReadResponse(first).opaque).value_or(digest::Opaque());
  sspi::DigestIndex& index = test::DigestWorld::package().index();
  sspi::DigestIndex::Ended ended;
  const auto place =
      index.Find(opaque, std::string(1, '\0') + std::string(test::kRealm), 0, &ended);
  ASSERT_TRUE(place.has_value());
  ASSERT_TRUE(index.Remove(opaque, place->handle));
  EXPECT_EQ(StatusOf(Get(first)), 401U);
  EXPECT_EQ(Count(DigestOutcome::kReplayed), 1U);
  Hang();
}

// Deleted by somebody, between two requests.
TEST_F(DigestContentTest, AClientWhoseContextHasEndedGoesOnAfterAChallenge) {
  LogIn();
  contexts_.DeleteAll();
  const std::string response = Get(client_.Sign());
  EXPECT_EQ(StatusOf(response), 401U);
  EXPECT_NE(ChallengeOf(response).find("stale=true"), std::string::npos) << response;
  EXPECT_EQ(Count(DigestOutcome::kStale), 1U);
  test::DigestClient again;
  EXPECT_EQ(StatusOf(Get(again.Respond(ChallengeOf(response)))), 200U);
}

TEST_F(DigestContentTest, WhatCannotBeUnderstoodIsABadRequest) {
  for (const char* token : {",", "username=", "x=\"", "nc=00000001, nc=00000001"}) {
    EXPECT_EQ(StatusOf(Get(token)), 400U) << token;
  }
  EXPECT_EQ(Count(DigestOutcome::kMalformed), 4U);
  EXPECT_EQ(StatusOf(Ask("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic x\r\n\r\n")), 401U);
}

TEST_F(DigestContentTest, TwoAlgorithmsAreTwoChallenges) {
  KtlsimCred_DigestServer settings = server_.settings();
  settings.fFlags = KTLSIM_DIGEST_SHA256;
  ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  const std::string response = Get();
  EXPECT_NE(ChallengeOf(response, 0).find("algorithm=SHA-256"), std::string::npos) << response;
  EXPECT_NE(ChallengeOf(response, 1).find("algorithm=MD5"), std::string::npos) << response;
  EXPECT_EQ(StatusOf(Get(client_.Respond(ChallengeOf(response, 1)))), 200U);
}

TEST_F(DigestContentTest, ABodyIsNotAskedForInVain) {
  const std::string post = std::string("POST ") + kUri +
                           " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n";
  const std::string challenged = Ask(post + "\r\n");
  EXPECT_EQ(StatusOf(challenged), 401U);
  EXPECT_NE(challenged.find("Connection: close\r\n"), std::string::npos) << challenged;
  Hang();
  const std::string header = client_.Respond(ChallengeOf(challenged), {.method = "POST"});
  EXPECT_EQ(Ask(post + "Authorization: Digest " + header + "\r\n\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(StatusOf(Ask("abc")), 200U);
}

// Users that somebody else has, who takes his time.
class SlowUsers {
 public:
  KtlsimCred_DigestVerifier verifier() { return {&SlowUsers::Verify, this}; }
  // Replies to the question that has come, or that comes within the time.
  void Reply(SECURITY_STATUS status, const std::string& password = {}) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(asked_.wait_for(lock, test::kHangLimit, [&] { return reply_ != nullptr; }));
    digest::Hasher hasher(digest::HashId::kMd5);
    digest::HashValue hash;
    ASSERT_TRUE(hasher.Hash({user_, ":", realm_, ":", password}, &hash));
    KtlsimReplyToDigest(std::exchange(reply_, nullptr), status, hash.bytes().data(),
                        static_cast<ULONG>(hash.bytes().size()));
  }

 private:
  static void Verify(void* self, const KtlsimDigestQuestion* question, KtlsimDigestReply* reply) {
    auto& users = *static_cast<SlowUsers*>(self);
    const std::lock_guard lock(users.mutex_);
    users.user_ = question->pszUser;
    users.realm_ = question->pszRealm;
    users.reply_ = reply;
    users.asked_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable asked_;
  std::string user_;
  std::string realm_;
  KtlsimDigestReply* reply_ = nullptr;
};

class SlowDigestContentTest : public DigestContentTest {
 protected:
  SlowDigestContentTest() {
    KtlsimCred_DigestServer settings = server_.settings();
    settings.cContextStoreWaitMs = KTLSIM_DIGEST_WAIT_MS_MAX;  // the test's thread may be slow, too
    EXPECT_EQ(server_.Set(settings), SEC_E_OK);
    KtlsimCred_DigestVerifier verifier = users_.verifier();
    EXPECT_EQ(SetCredentialsAttributesA(server_.credential(), KTLSIM_ATTR_DIGEST_VERIFIER,
                                        &verifier, sizeof(verifier)),
              SEC_E_OK);
  }
  // Without waiting for a response.
  void Begin(const std::string& authorization) {
    RunOnLoop(*loop_, [&] {
      connection_.sent.clear();
      connection_.Receive(*handler_, std::string("GET ") + kUri +
                                         " HTTP/1.1\r\nHost: h\r\nAuthorization: Digest " +
                                         authorization + "\r\n\r\n");
    });
  }

  SlowUsers users_;
};

TEST_F(SlowDigestContentTest, TheProcessorGoesOnMeanwhile) {
  Begin(client_.Respond(ChallengeOf(Get())));
  for (int i = 0; i < 3; ++i) {
    RunOnLoop(*loop_, [&] { EXPECT_EQ(connection_.sent, ""); });
  }
  users_.Reply(SEC_E_OK, "Circle of Life");
  EXPECT_EQ(StatusOf(WaitForHead()), 200U);
}

TEST_F(SlowDigestContentTest, WithoutItsUsersTheServerIsUnavailable) {
  Begin(client_.Respond(ChallengeOf(Get())));
  users_.Reply(SEC_E_INTERNAL_ERROR);
  EXPECT_EQ(StatusOf(WaitForHead()), 503U);
  EXPECT_EQ(watcher_.last, DigestOutcome::kUnavailable);
}

TEST_F(SlowDigestContentTest, AConnectionMayEndMeanwhile) {
  Begin(client_.Respond(ChallengeOf(Get())));
  Hang();
  EXPECT_EQ(guard_.contents().inside(), 1U);
  users_.Reply(SEC_E_OK, "Circle of Life");
  guard_.Stop();
  EXPECT_EQ(guard_.contents().inside(), 0U);
  EXPECT_EQ(Count(DigestOutcome::kAuthenticated), 0U);
}

// The verdict comes when the client is gone: it is counted and recorded all the same.
TEST_F(RecordedDigestContentTest, AGuessThatIsCutOffLeavesALine) {
  SlowUsers users;
  KtlsimCred_DigestServer settings = server_.settings();
  settings.cContextStoreWaitMs = KTLSIM_DIGEST_WAIT_MS_MAX;
  ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  KtlsimCred_DigestVerifier verifier = users.verifier();
  ASSERT_EQ(SetCredentialsAttributesA(server_.credential(), KTLSIM_ATTR_DIGEST_VERIFIER, &verifier,
                                      sizeof(verifier)),
            SEC_E_OK);
  Send(RequestText(client_.Respond(ChallengeOf(Get()))));
  Hang();
  users.Reply(SEC_E_OK, "another password");
  recording_.Stop();
  EXPECT_EQ(recording_.Statistics().Of(DigestOutcome::kRefused), 1U);
  const std::vector<std::string> logons = Logons();
  ASSERT_EQ(logons.size(), 1U);
  EXPECT_NE(logons[0].find(R"("claimed":"Mufasa")"), std::string::npos) << logons[0];
  EXPECT_NE(logons[0].find(R"("object":"/dir/index.html","connection":8)"), std::string::npos)
      << logons[0];
}

TEST_F(DigestContentTest, AConnectionMayEndRightAfterItsRequest) {
  for (int i = 0; i < 50; ++i) {
    RunOnLoop(*loop_, [&] {
      handler_ = MakeHttpResponder(options_, connection_);
      connection_.Receive(*handler_, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      connection_.End(*std::exchange(handler_, nullptr));
    });
  }
  guard_.Stop();
  EXPECT_LE(contexts_.size(), 50U);
}

// As a reload does it.
TEST_F(DigestContentTest, OtherUsersCountOnOldConnectionsToo) {
  LogIn();
  test::DigestServer others(test::UserLine("Simba", "Hakuna"));
  credential_.handle = *others.credential();
  EXPECT_EQ(StatusOf(Get(client_.Sign())), 200U);
  contexts_.DeleteAll();
  EXPECT_EQ(StatusOf(Get(client_.Sign())), 401U);
  EXPECT_EQ(watcher_.last, DigestOutcome::kRefused);
  test::DigestClient simba("Simba", "Hakuna");
  EXPECT_EQ(StatusOf(Get(simba.Respond(ChallengeOf(Get())))), 200U);
  credential_.handle = *server_.credential();
}

TEST_F(DigestContentTest, AStoppedGuardServesNobody) {
  guard_.Stop();
  RunOnLoop(*loop_, [&] { EXPECT_EQ(MakeHttpResponder(options_, connection_), nullptr); });
}

// ---- The server's proof

TEST_F(DigestContentTest, WhatIsServedHasTheProofOfTheServer) {
  const std::string challenge = Get();
  EXPECT_EQ(InfoOf(challenge), "");
  for (const std::string& header : {client_.Respond(ChallengeOf(challenge)), client_.Sign()}) {
    const std::string response = Get(header);
    ASSERT_EQ(StatusOf(response), 200U);
    EXPECT_EQ(client_.CheckServer(InfoOf(response), header), SEC_E_OK) << response;
    // The same header again is a replay, and nobody proves anything to it.
    EXPECT_EQ(InfoOf(Get(header)), "");
  }
}

// A client may choose a nonce that is longer than a response has room for.
TEST_F(DigestContentTest, AProofThatFindsNoRoomIsLeftOut) {
  for (const std::size_t length : {16U, 300U, 500U, 1000U, 2500U}) {
    test::HandMade client = test::HandMade::For(ChallengeOf(Get()));
    client.cnonce = std::string(length, 'c');
    const std::string response = Get(client.Header());
    EXPECT_EQ(StatusOf(response), 200U) << length;
    EXPECT_EQ(InfoOf(response) != "", length < 500) << length;
  }
}

}  // namespace
}  // namespace ktlsim::serve
