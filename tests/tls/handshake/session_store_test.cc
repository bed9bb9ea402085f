// A server's store of sessions by ID: in memory, and one that takes its time.
#include "tls/handshake/session_store.h"

#include <atomic>
#include <barrier>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

std::int64_t g_store_now = 1000;

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class TestLookUp final : public SessionLookUp {
 public:
  TestLookUp() : SessionLookUp(1234) {}
  using SessionLookUp::Finish;
  void OnGivenUp() override { ++given_up; }
  int given_up = 0;
};

TEST(SessionLookUpTest, WakesOnceWhoWaitsLast) {
  TestLookUp look_up;
  EXPECT_EQ(look_up.limit_ms(), 1234U);
  EXPECT_FALSE(look_up.done());
  int first = 0;
  int second = 0;
  EXPECT_TRUE(look_up.WakeBy([&] { ++first; }));
  EXPECT_TRUE(look_up.WakeBy([&] { ++second; }));
  EXPECT_TRUE(look_up.Finish(BytesOf("session")));
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
  EXPECT_TRUE(look_up.done());
  EXPECT_EQ(TextOf(look_up.session()), "session");
  EXPECT_FALSE(look_up.WakeBy([&] { ++first; }));
  look_up.GiveUp();
  EXPECT_EQ(look_up.given_up, 0) << "it was over";
  EXPECT_EQ(first + second, 1);
}

TEST(SessionLookUpTest, WakesNobodyWhenItWasGivenUp) {
  TestLookUp look_up;
  int woken = 0;
  EXPECT_TRUE(look_up.WakeBy([&] { ++woken; }));
  look_up.GiveUp();
  look_up.GiveUp();
  EXPECT_EQ(look_up.given_up, 1);
  EXPECT_FALSE(look_up.Finish(BytesOf("session")));
  EXPECT_EQ(woken, 0);
}

TEST(SessionLookUpTest, IsFinishedAndGivenUpByTwoThreadsAtOnce) {
  for (int i = 0; i < 200; ++i) {
    TestLookUp look_up;
    std::atomic<int> woken{0};
    EXPECT_TRUE(look_up.WakeBy([&] { ++woken; }));
    std::barrier both(2);
    std::thread other([&] {
      both.arrive_and_wait();
      look_up.GiveUp();
    });
    both.arrive_and_wait();
    const bool wanted = look_up.Finish({});
    other.join();
    EXPECT_EQ(woken, wanted ? 1 : 0);
    EXPECT_EQ(look_up.given_up, wanted ? 0 : 1);
  }
}

// ---- In memory

std::string Found(MemorySessionStore& store, const std::string& id) {
  const auto look_up = store.Get(BytesOf(id));
  EXPECT_TRUE(look_up->done());
  return TextOf(look_up->session());
}

TEST(MemorySessionStoreTest, KeepsTheNewestOfAnIdUntilItsTimeIsOver) {
  MemorySessionStore::Options options;
  options.now_s = [] { return g_store_now; };
  MemorySessionStore store(options);
  EXPECT_EQ(Found(store, "a"), "");
  store.Put(BytesOf("a"), BytesOf("old"), 100);
  store.Put(BytesOf("a"), BytesOf("new"), 50);
  store.Put(BytesOf("b"), BytesOf("other"), 100);
  EXPECT_EQ(store.size(), 2U);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Found(store, "a"), "new");
  g_store_now += 50;
  EXPECT_EQ(Found(store, "a"), "");
  EXPECT_EQ(Found(store, "b"), "other");
  store.Remove(BytesOf("b"));
  EXPECT_EQ(Found(store, "b"), "");
  EXPECT_EQ(store.size(), 0U);
  g_store_now = 1000;
}

TEST(MemorySessionStoreTest, IsBounded) {
  MemorySessionStore::Options options;
  options.keys_max = 100;
  options.bytes_max = 16 * 1000;
  MemorySessionStore store(options);
  for (int i = 0; i < 1000; ++i) {
    store.Put(BytesOf(std::to_string(i)), BytesOf(std::string(100, 'x')), 100);
  }
  EXPECT_LE(store.size(), 16U * 7);
  store.Put(BytesOf("large"), BytesOf(std::string(1001, 'x')), 100);
  EXPECT_EQ(Found(store, "large"), "");
}

// ---- A store that takes its time, and handshakes that wait for it

class SlowStore final : public SessionStore {
 public:
  void Put(std::span<const std::byte> id, std::span<const std::byte> session,
           std::int64_t lifetime_s) noexcept override {
    EXPECT_GT(lifetime_s, 0);
    kept[TextOf(id)] = TextOf(session);
  }
  std::shared_ptr<SessionLookUp> Get(std::span<const std::byte> id) noexcept override {
    asked_for = TextOf(id);
    ++look_ups;
    pending = std::make_shared<TestLookUp>();
    if (at_once) Finish();
    return pending;
  }
  void Remove(std::span<const std::byte> id) noexcept override { kept.erase(TextOf(id)); }

  void Finish() {
    const auto found = kept.find(asked_for);
    const std::string_view session = found != kept.end() ? found->second : std::string_view();
    static_cast<void>(pending->Finish(BytesOf(session)));
  }

  std::map<std::string, std::string> kept;
  std::string asked_for;
  std::shared_ptr<TestLookUp> pending;
  int look_ups = 0;
  bool at_once = false;
};

// A libssl client that takes no tickets and has a session.
class WaitingHandshakeTest : public testing::Test {
 protected:
  WaitingHandshakeTest() {
    EndpointOptions options;
    options.sessions = store_;
    endpoint_ = MakeServer(options);
    store_->at_once = true;
    OurSide server(endpoint_);
    LibsslSide client(context_.get(), Role::kClient);
    EXPECT_TRUE(RunHandshake(server, client));
    SSL_shutdown(client.ssl);
    session_.reset(SSL_get1_session(client.ssl));
    EXPECT_EQ(store_->kept.size(), 1U);
    EXPECT_EQ(store_->look_ups, 0) << "the first ClientHello named no session";
    store_->at_once = false;
  }
  static ContextPtr Context() {
    LibsslOptions libssl;
    libssl.versions = Only(Version::kTls12);
    libssl.tickets = 0;
    return MakeLibsslContext(Role::kClient, libssl);
  }
  // Until the server waits for the session that the client names.
  void BeginToWait(OurSide& server, LibsslSide& client) {
    SSL_set_session(client.ssl, session_.get());
    EXPECT_TRUE(client.Advance());
    Move(client, server);
    EXPECT_EQ(server.Advance().outcome, StepOutcome::kWaitsForSession);
    EXPECT_TRUE(server.inbox.empty()) << "the ClientHello is consumed";
    EXPECT_TRUE(server.outbox.empty());
    EXPECT_NE(server.handshake->look_up(), nullptr);
  }
  void GoOn(OurSide& server, LibsslSide& client, bool resumed) {
    EXPECT_EQ(server.Advance().outcome, StepOutcome::kContinue);
    ASSERT_TRUE(RunHandshake(server, client)) << server.last.failure.ToString();
    EXPECT_EQ(server.connection->facts.resumed, resumed);
    EXPECT_EQ(SSL_session_reused(client.ssl), resumed ? 1 : 0);
    client.Write("question");
    Move(client, server);
    EXPECT_EQ(server.Read(), "question");
  }

  struct FreeSession {
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  };
  const ContextPtr context_ = Context();
  const std::shared_ptr<SlowStore> store_ = std::make_shared<SlowStore>();
  std::shared_ptr<Endpoint> endpoint_;
  std::unique_ptr<SSL_SESSION, FreeSession> session_;
};

TEST_F(WaitingHandshakeTest, ResumesWhenTheSessionIsThere) {
  OurSide server(endpoint_);
  LibsslSide client(context_.get(), Role::kClient);
  BeginToWait(server, client);
  EXPECT_EQ(server.Advance().outcome, StepOutcome::kWaitsForSession) << "woken too early";
  EXPECT_EQ(store_->look_ups, 1) << "it is asked once";
  store_->Finish();
  EXPECT_EQ(server.handshake->look_up(), nullptr);
  GoOn(server, client, true);
}

TEST_F(WaitingHandshakeTest, IsAFullOneWhenThereIsNoSession) {
  store_->kept.clear();
  OurSide server(endpoint_);
  LibsslSide client(context_.get(), Role::kClient);
  BeginToWait(server, client);
  store_->Finish();
  GoOn(server, client, false);
  EXPECT_EQ(store_->kept.size(), 1U) << "the new session";
}

TEST_F(WaitingHandshakeTest, IsAFullOneWhenTheLookUpIsGivenUp) {
  OurSide server(endpoint_);
  LibsslSide client(context_.get(), Role::kClient);
  BeginToWait(server, client);
  server.handshake->GiveUpLookUp();
  EXPECT_EQ(store_->pending->given_up, 1);
  EXPECT_EQ(server.handshake->look_up(), nullptr);
  store_->Finish();  // too late
  GoOn(server, client, false);
}

TEST_F(WaitingHandshakeTest, MayEndWhileItWaits) {
  {
    OurSide server(endpoint_);
    LibsslSide client(context_.get(), Role::kClient);
    BeginToWait(server, client);
  }
  EXPECT_EQ(store_->pending->given_up, 1);
  EXPECT_FALSE(store_->pending->Finish({}));
}

TEST_F(WaitingHandshakeTest, ATamperedSessionIsNone) {
  const auto [own, good] = *store_->kept.begin();
  std::vector<std::string> bad = {"x", good + "x", good.substr(0, good.size() - 1),
                                  std::string(5000, '\x30')};
  // Another session's bytes under this ID.
  std::string other = good;
  const std::size_t id = good.find(own);
  ASSERT_NE(id, std::string::npos);
  other[id] = static_cast<char>(other[id] ^ 1);
  bad.push_back(other);
  store_->at_once = true;
  for (const std::string& one : bad) {
    store_->kept = {{own, one}};
    OurSide server(endpoint_);
    LibsslSide client(context_.get(), Role::kClient);
    SSL_set_session(client.ssl, session_.get());
    ASSERT_TRUE(RunHandshake(server, client)) << server.last.failure.ToString();
    EXPECT_FALSE(server.connection->facts.resumed);
  }
}

TEST_F(WaitingHandshakeTest, OneMachinesSessionIsResumedByAnother) {
  EndpointOptions options;
  options.sessions = store_;
  const auto other = MakeServer(options);
  store_->at_once = true;
  OurSide server(other);
  LibsslSide client(context_.get(), Role::kClient);
  SSL_set_session(client.ssl, session_.get());
  ASSERT_TRUE(RunHandshake(server, client));
  EXPECT_TRUE(server.connection->facts.resumed);
}

// The header of a message that is too long, in the record of the ClientHello.
TEST_F(WaitingHandshakeTest, DoesNotWaitBeforeItRefusesWhatFollowsTheClientHello) {
  OurSide server(endpoint_);
  LibsslSide client(context_.get(), Role::kClient);
  SSL_set_session(client.ssl, session_.get());
  EXPECT_TRUE(client.Advance());
  Move(client, server);
  const std::size_t length = (std::to_integer<std::size_t>(server.inbox[3]) << 8 |
                              std::to_integer<std::size_t>(server.inbox[4])) +
                             4;
  server.inbox[3] = static_cast<std::byte>(length >> 8);
  server.inbox[4] = static_cast<std::byte>(length & 0xff);
  for (const int byte : {16, 0xff, 0xff, 0xff}) server.inbox.push_back(std::byte(byte));
  EXPECT_EQ(server.Advance().outcome, StepOutcome::kFailed);
}

TEST_F(WaitingHandshakeTest, NothingIsLookedUpForTls13OrWithATicket) {
  for (const Version version : {Version::kTls12, Version::kTls13}) {
    EndpointOptions of_client;
    of_client.versions = Only(version);
    const auto client_endpoint = MakeClient(of_client);
    HandshakeOptions target;
    target.target_name = kName;
    for (int i = 0; i < 2; ++i) {
      OurSide client(client_endpoint, target);
      OurSide server(endpoint_);
      ASSERT_TRUE(RunHandshake(client, server));
      server.Write("x");
      Move(server, client);
      client.Read();
      EXPECT_EQ(server.connection->facts.resumed, i == 1);
    }
  }
  EXPECT_EQ(store_->look_ups, 0);
}

}  // namespace
}  // namespace ktlsim::tls::test
