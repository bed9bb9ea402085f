// How much plaintext the records carry, measured by the lengths on the wire.

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

using transport::RecordSizing;

constexpr std::size_t kOverhead = 17;  // type byte and tag of TLS 1.3

// Sends a burst for every byte that it receives.
class BurstHandler final : public ConnectionHandler {
 public:
  explicit BurstHandler(std::size_t bytes) : bytes_(bytes) {}
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    left_ += plaintext.size() * bytes_;
    Fill(connection);
  }
  void OnWritable(Connection& connection) override { Fill(connection); }
  void OnEnded(Connection&, const EndReason&) override { delete this; }

 private:
  void Fill(Connection& connection) {
    while (left_ != 0) {
      std::span<std::byte> space = connection.SendSpace();
      if (space.empty()) return;
      space = space.first(std::min(space.size(), left_));
      std::ranges::fill(space, std::byte{'x'});
      connection.CommitSend(space.size());
      left_ -= space.size();
    }
  }

  const std::size_t bytes_;
  std::size_t left_ = 0;
};

class RecordSizingTest : public TransportTest {
 protected:
  void TearDown() override {
    end_.reset();
    peer_.reset();
    TransportTest::TearDown();
  }

  void Connect(const RecordSizing& sizing, std::size_t burst_bytes) {
    server_credential_->SetTickets(0);
    ServerOptions options = DefaultServer();
    options.tls.record_sizing = sizing;
    StartServer(options, [burst_bytes](Connection&) { return new BurstHandler(burst_bytes); });
    peer_.emplace(Dial());
    end_.emplace(false);
    while (end_->status == SEC_I_CONTINUE_NEEDED) {
      peer_->Send(end_->Leg(client_credential_->get()));
      if (end_->status == SEC_I_CONTINUE_NEEDED) Append(end_->inbox, peer_->ReceiveSome());
    }
    ASSERT_EQ(end_->status, SEC_E_OK);
    ASSERT_TRUE(end_->inbox.empty());
  }

  // Requests one burst of `bytes`, and returns the plaintext lengths of its records.
  std::vector<std::size_t> Burst(std::size_t bytes) {
    peer_->Send(end_->Seal(ToBytes("?")));
    std::vector<std::size_t> lengths;
    Bytes wire;
    std::size_t got = 0;
    while (got < bytes) {
      const Bytes some = peer_->ReceiveSome();
      if (some.empty()) break;
      Append(wire, some);
      std::size_t at = 0;
      while (wire.size() - at >= 5) {
        const std::size_t length = (std::size_t{wire[at + 3]} << 8) | wire[at + 4];
        if (wire.size() - at < 5 + length) break;
        lengths.push_back(length - kOverhead);
        got += length - kOverhead;
        at += 5 + length;
      }
      wire.erase(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(at));
    }
    EXPECT_EQ(got, bytes);
    EXPECT_TRUE(wire.empty());
    return lengths;
  }

  static std::vector<std::size_t> Repeat(std::size_t count, std::size_t length) {
    return std::vector<std::size_t>(count, length);
  }
  static std::vector<std::size_t> Then(std::vector<std::size_t> lengths,
                                       const std::vector<std::size_t>& more) {
    lengths.insert(lengths.end(), more.begin(), more.end());
    return lengths;
  }

  std::optional<TestEnd> end_;
  std::optional<RawPeer> peer_;
};

TEST_F(RecordSizingTest, FullRecordsUnlessToldOtherwise) {
  Connect(RecordSizing(), 100000);
  EXPECT_EQ(Burst(100000), Then(Repeat(6, 16384), {1696}));
}

TEST_F(RecordSizingTest, FixedSizesOfAnyLength) {
  Connect(RecordSizing::Fixed(1000), 300001);
  EXPECT_EQ(Burst(300001), Then(Repeat(300, 1000), {1}));
}

TEST_F(RecordSizingTest, ABurstBeginsWithRecordsOfOneSegment) {
  constexpr std::size_t kBytes = 40 * 1369 + 3 * 16384 + 5;
  RecordSizing sizing = RecordSizing::Dynamic();
  sizing.idle_ns = 3600 * kNsPerSecond;
  Connect(sizing, kBytes);
  EXPECT_EQ(Burst(kBytes), Then(Repeat(40, 1369), Then(Repeat(3, 16384), {5})));
  EXPECT_EQ(Burst(kBytes), Then(Repeat(6, 16384), {kBytes - 6 * 16384}))
      << "no silence in between: the same burst";
}

TEST_F(RecordSizingTest, SilenceEndsTheBurst) {
  constexpr std::size_t kBytes = 2 * 1369 + 16384;
  RecordSizing sizing = RecordSizing::Dynamic();
  sizing.first_bytes = 2 * 1369;
  sizing.idle_ns = 0;  // any silence
  Connect(sizing, kBytes);
  for (int burst = 0; burst < 3; ++burst) {
    EXPECT_EQ(Burst(kBytes), Then(Repeat(2, 1369), {16384})) << burst;
  }
}

TEST_F(RecordSizingTest, SizesOutsideTheVersionsAreRefused) {
  for (const std::uint32_t bytes : {0U, 63U, 16385U}) {
    TlsOptions options = DefaultClient();
    options.record_sizing = RecordSizing::Fixed(bytes);
    EXPECT_FALSE(TlsProfile::Create(TlsProfile::Side::kClient, options).ok()) << bytes;
    options.record_sizing = RecordSizing::Dynamic();
    options.record_sizing.first_bytes_max = bytes;
    EXPECT_FALSE(TlsProfile::Create(TlsProfile::Side::kClient, options).ok()) << bytes;
  }
  TlsOptions options = DefaultClient();
  options.records_between_key_checks = 0;
  EXPECT_FALSE(TlsProfile::Create(TlsProfile::Side::kClient, options).ok());
}

}  // namespace
}  // namespace ktlsim::test
