// Access control lists: ACEs in the order that counts (MS-DTYP 2.4.5).
//
// AclView views a list that was checked as a whole. The functions below it change a list in the
// caller's memory; they append and never sort.
//
// Any level, any thread, no state, no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kernel_sim/security/ace.h"
#include "kernel_sim/security/fault.h"

namespace ktlsim::security {

inline constexpr std::size_t kAclHeaderBytes = 8;
inline constexpr std::size_t kAclBytesMax = 65535;
inline constexpr std::uint8_t kAclRevision = 2;
inline constexpr std::uint8_t kAclRevisionDs = 4;  // for lists with object ACEs

class AceIterator {
 public:
  AceIterator(const std::byte* at, std::size_t left) : at_(at), left_(left) {}

  AceView operator*() const { return AceView(at_); }
  AceIterator& operator++() {
    at_ += AceView(at_).bytes();
    --left_;
    return *this;
  }
  friend bool operator==(const AceIterator& a, const AceIterator& b) { return a.left_ == b.left_; }

 private:
  const std::byte* at_;
  std::size_t left_;
};

// Does not own the bytes.
class AclView {
 public:
  // The list at the front of `bytes`. None: its revision is not 2 to 4, it ends behind them, or
  // one of its ACEs is invalid or ends behind it.
  static std::optional<AclView> Read(std::span<const std::byte> bytes);
  // As Read, for memory whose size nobody told: that of the list's own header counts.
  static std::optional<AclView> ReadUnbounded(const std::byte* at);

  std::uint8_t revision() const { return static_cast<std::uint8_t>(at_[0]); }
  // With the room that no ACE uses.
  std::size_t bytes() const { return Load<std::uint16_t>(at_ + 2); }
  std::size_t count() const { return Load<std::uint16_t>(at_ + 4); }
  std::span<const std::byte> image() const { return {at_, bytes()}; }
  // The header and the ACEs.
  std::size_t bytes_in_use() const;

  AceIterator begin() const { return {at_ + kAclHeaderBytes, count()}; }
  AceIterator end() const { return {nullptr, 0}; }

 private:
  explicit AclView(const std::byte* at) : at_(at) {}

  const std::byte* at_;
};

// The numbers in a list's head and what its ACEs use, each taken once: in memory that others may
// change they are not to be looked up again.
struct AclExtent {
  std::uint8_t revision = 0;
  std::size_t bytes = 0;  // with the room that no ACE uses
  std::size_t count = 0;
  std::size_t used = 0;  // the header and the ACEs

  std::size_t room() const { return bytes - used; }
};

// Of the list at `at`, whose size is that of its header. None: as AclView::Read.
std::optional<AclExtent> MeasureAcl(const std::byte* at);
// Where the ACE at `index`, at most the count, begins. None: the list has changed meanwhile.
std::optional<std::size_t> OffsetOfAce(const std::byte* acl, const AclExtent& extent,
                                       std::size_t index);

// An ACE to be written. Of no GUID an object ACE is the plain one of its kind.
struct NewAce {
  AceType type = AceType::kAllowed;
  std::uint8_t flags = 0;
  AccessMask mask = 0;
  SidView sid;
  const Guid* object_type = nullptr;
  const Guid* inherited_object_type = nullptr;
};

// The type that is written for `ace`: an object ACE without a GUID becomes a plain one.
AceType TypeToWrite(const NewAce& ace);
std::size_t BytesOf(const NewAce& ace);
// Writes BytesOf(ace) bytes.
void WriteAce(const NewAce& ace, std::byte* at);

// Makes an empty list of all of `memory`, its size rounded down to four. kInsufficientBuffer: below
// 8 bytes; kInvalidParameter: above 65,535, or the revision is not 2 to 4.
Fault InitializeAcl(std::span<std::byte> memory, std::uint32_t revision);

// The following change the list at `acl`, which InitializeAcl made or which was checked. The ACE's
// revision is 2 to 4; the list's becomes the larger one. kInvalidAcl: it is none.

// At the end. kRevisionMismatch: no such revision, or one below 4 for an object ACE;
// kInvalidFlags: flags that its type cannot have; kAllottedSpaceExceeded: no room.
Fault AppendAce(std::byte* acl, std::uint32_t revision, const NewAce& ace);

inline constexpr std::uint32_t kAtEnd = 0xFFFFFFFF;

// A sequence of whole ACEs, in front of the one at `index`. kInvalidParameter: the index is beyond
// the end, or `aces` are none; kRevisionMismatch: no such revision, or one of them is an object ACE
// and the list's would be below 4; kAllottedSpaceExceeded: no room.
Fault InsertAces(std::byte* acl, std::uint32_t revision, std::uint32_t index,
                 std::span<const std::byte> aces);

// kInvalidParameter: there is no such index.
Fault DeleteAce(std::byte* acl, std::uint32_t index);

}  // namespace ktlsim::security
