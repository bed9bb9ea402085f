// TlsTicketStore: the ticket keys that all nodes of a context store have. The first node that needs
// the key of a generation makes it and creates its entry; the others, and the losers of a race,
// take what is there.
//
// Each refresh asks for the present key, which seals; for the next one, so that every node has it a
// whole period before anybody seals with it; and, unless it is here already, for the one before. A
// key that the store has lost is put back by the first node that still has it. When two nodes have
// made a key each meanwhile, both go on with the one in the store, and the other still opens.
//
// What a newcomer gets wrong: nothing here has a timer. Somebody calls Refresh, now and then.
//
// Any thread, up to dispatch level; nothing waits, except Close.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "kernel_sim/base/rundown.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/sspi/packages/package_host.h"
#include "kernel_sim/sspi/packages/tls_store_statistics.h"
#include "tls/handshake/shared_ticket_keys.h"

namespace ktlsim::sspi {

// How a key stands in the store, where it is sealed under the node key.
struct TicketKeyValue {
  // Format, name, encryption key, MAC key.
  static constexpr std::size_t kBytes =
      1 + tls::TicketKey::kNameBytes + 2 * tls::TicketKey::kSecretBytes;
  using Bytes = std::array<std::byte, kBytes>;

  static void Write(const tls::TicketKey& key, Bytes* bytes);
  // Empty: it is no key, or one of another format.
  static std::optional<tls::TicketKey> Read(std::span<const std::byte> bytes);
};

class TlsTicketStore final : public context_store::StoreCall,
                             public std::enable_shared_from_this<TlsTicketStore> {
 public:
  // `host` and `counters` outlive it. `refreshed`, if any, is called at the end of each refresh
  // with whether there is a key that seals now; on whichever thread that is, and it must not block.
  // Null: no memory.
  static std::shared_ptr<TlsTicketStore> Create(PackageHost& host, TlsStoreCounters& counters,
                                                std::shared_ptr<context_store::ContextStore> store,
                                                std::int64_t period_s,
                                                std::function<void(bool)> refreshed);
  ~TlsTicketStore() override;

  const std::shared_ptr<tls::SharedTicketKeys>& keys() const { return keys_; }

  // Asks the store; does nothing while it is being asked. The keys stay as they are when the store
  // does not work.
  void Refresh();
  // From when this returns the store is not touched any more. Passive level.
  void Close();

  void OnStored() override;

 private:
  // What is known of the key that is asked for.
  enum class Step : std::uint8_t {
    kLook,       // it may be there
    kOffer,      // it was not: ours is created
    kLookAgain,  // another node was first
  };
  static constexpr int kPlaces = 3;  // present, next, before

  TlsTicketStore(PackageHost& host, TlsStoreCounters& counters,
                 std::shared_ptr<context_store::ContextStore> store,
                 std::shared_ptr<tls::SharedTicketKeys> keys, std::function<void(bool)> refreshed)
      : host_(host),
        counters_(counters),
        store_(std::move(store)),
        keys_(std::move(keys)),
        refreshed_(std::move(refreshed)) {}

  tls::SharedTicketKeys::Generation generation() const;
  void Go();
  void NextPlace();
  bool IsHere() const;
  context_store::Begun Begin();
  context_store::Begun BeginOffer(const context_store::Key& key);
  void Judge();
  void JudgeLook();
  void JudgeOffer();
  bool MakeOffer();
  void Found();
  void Fail();
  void End();

  PackageHost& host_;
  TlsStoreCounters& counters_;
  const std::shared_ptr<context_store::ContextStore> store_;
  const std::shared_ptr<tls::SharedTicketKeys> keys_;
  const std::function<void(bool)> refreshed_;

  std::atomic<bool> busy_{false};
  Rundown open_;

  // Of the refresh under way.
  std::shared_ptr<TlsTicketStore> self_;  // while the store has it
  tls::SharedTicketKeys::Generation present_ = 0;
  std::int64_t began_s_ = 0;
  int place_ = kPlaces;
  Step step_ = Step::kLook;
  bool failed_ = false;
  std::string name_;  // of the entry
  tls::TicketKey offered_;
  TicketKeyValue::Bytes offered_bytes_{};  // wiped
};

}  // namespace ktlsim::sspi
