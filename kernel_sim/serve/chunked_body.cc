#include "kernel_sim/serve/chunked_body.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

namespace ktlsim::serve {
namespace {

using State = ChunkedBody::State;

// Kinds of bytes, as bits.
enum : unsigned {
  kHex = 1U << 0,
  kTokenChar = 1U << 1,  // RFC 9110 5.6.2, without those that are kHex
  kBlank = 1U << 2,
  kCr = 1U << 3,
  kLf = 1U << 4,
  kSemicolon = 1U << 5,
  kColon = 1U << 6,
  kEquals = 1U << 7,
  kQuote = 1U << 8,
  kBackslash = 1U << 9,
  kOtherText = 1U << 10,  // visible, or above ASCII
  kControl = 1U << 11,

  kToken = kHex | kTokenChar,
  kText = kToken | kBlank | kSemicolon | kColon | kEquals | kQuote | kBackslash | kOtherText,
};

constexpr unsigned KindOf(unsigned char c) {
  constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) return kHex;
  if ((c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z')) return kTokenChar;
  switch (c) {
    case ' ':
    case '\t':
      return kBlank;
    case '\r':
      return kCr;
    case '\n':
      return kLf;
    case ';':
      return kSemicolon;
    case ':':
      return kColon;
    case '=':
      return kEquals;
    case '"':
      return kQuote;
    case '\\':
      return kBackslash;
    default:
      break;
  }
  if (c < ' ' || c == 0x7f) return kControl;
  return kTokenMarks.find(static_cast<char>(c)) != std::string_view::npos ? kTokenChar : kOtherText;
}

struct Move {
  State from;
  unsigned kinds;
  State to;
};

// A byte without a row is refused. The content has no row, either: it is counted, not examined.
constexpr Move kMoves[] = {
    {State::kSize, kHex, State::kSizeDigits},
    {State::kSizeDigits, kHex, State::kSizeDigits},
    {State::kSizeDigits, kSemicolon, State::kExtension},
    {State::kSizeDigits, kCr, State::kSizeLf},

    {State::kExtension, kBlank, State::kExtension},
    {State::kExtension, kToken, State::kExtensionName},
    {State::kExtensionName, kToken, State::kExtensionName},
    {State::kExtensionName, kBlank, State::kExtensionNameEnd},
    {State::kExtensionName, kEquals, State::kExtensionValue},
    {State::kExtensionName, kSemicolon, State::kExtension},
    {State::kExtensionName, kCr, State::kSizeLf},
    {State::kExtensionNameEnd, kBlank, State::kExtensionNameEnd},
    {State::kExtensionNameEnd, kEquals, State::kExtensionValue},
    {State::kExtensionNameEnd, kSemicolon, State::kExtension},
    {State::kExtensionValue, kBlank, State::kExtensionValue},
    {State::kExtensionValue, kToken, State::kExtensionToken},
    {State::kExtensionValue, kQuote, State::kExtensionQuoted},
    {State::kExtensionToken, kToken, State::kExtensionToken},
    {State::kExtensionToken, kBlank, State::kExtensionBlank},
    {State::kExtensionToken, kSemicolon, State::kExtension},
    {State::kExtensionToken, kCr, State::kSizeLf},
    {State::kExtensionQuoted, kText & ~(kQuote | kBackslash), State::kExtensionQuoted},
    {State::kExtensionQuoted, kBackslash, State::kExtensionEscaped},
    {State::kExtensionQuoted, kQuote, State::kExtensionEnd},
    {State::kExtensionEscaped, kText, State::kExtensionQuoted},
    {State::kExtensionEnd, kBlank, State::kExtensionBlank},
    {State::kExtensionEnd, kSemicolon, State::kExtension},
    {State::kExtensionEnd, kCr, State::kSizeLf},
    {State::kExtensionBlank, kBlank, State::kExtensionBlank},
    {State::kExtensionBlank, kSemicolon, State::kExtension},

    {State::kSizeLf, kLf, State::kData},
    {State::kDataCr, kCr, State::kDataLf},
    {State::kDataLf, kLf, State::kSize},

    {State::kTrailer, kToken, State::kTrailerName},
    {State::kTrailer, kCr, State::kEndLf},
    {State::kTrailerName, kToken, State::kTrailerName},
    {State::kTrailerName, kColon, State::kTrailerValue},
    {State::kTrailerValue, kText, State::kTrailerValue},
    {State::kTrailerValue, kCr, State::kTrailerLf},
    {State::kTrailerLf, kLf, State::kTrailer},
    {State::kEndLf, kLf, State::kComplete},
};

constexpr std::size_t kStates = static_cast<std::size_t>(State::kRefused) + 1;
constexpr std::size_t kKinds = 12;
static_assert(kControl == 1U << (kKinds - 1));

constexpr auto kTable = [] {
  std::array<std::array<State, kKinds>, kStates> table{};
  for (auto& row : table) row.fill(State::kRefused);
  for (const Move& move : kMoves) {
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      if (((move.kinds >> kind) & 1) != 0)
        table[static_cast<std::size_t>(move.from)][kind] = move.to;
    }
  }
  return table;
}();

constexpr auto kKindOfByte = [] {
  std::array<std::uint8_t, 256> kinds{};
  for (std::size_t c = 0; c < kinds.size(); ++c) {
    kinds[c] = static_cast<std::uint8_t>(std::countr_zero(KindOf(static_cast<unsigned char>(c))));
  }
  return kinds;
}();

State After(State state, char c) {
  return kTable[static_cast<std::size_t>(state)][kKindOfByte[static_cast<unsigned char>(c)]];
}

unsigned ValueOf(char hex) {
  if (hex <= '9') return static_cast<unsigned>(hex - '0');
  return static_cast<unsigned>((hex | 0x20) - 'a') + 10;
}

constexpr bool InExtension(State state) {
  return state >= State::kExtension && state <= State::kExtensionBlank;
}

// The empty line at the end is needed.
constexpr bool InTrailers(State state) {
  return state >= State::kTrailer && state <= State::kTrailerLf;
}

}  // namespace

void ChunkedBody::Begin(std::uint64_t body_bytes_max, std::size_t framing_bytes_max) {
  left_of_body_ = body_bytes_max;
  framing_left_ = framing_bytes_max;
  surplus_left_ = kChunkSurplusBytesMax;
  size_ = 0;
  refusal_ = 0;
  state_ = State::kSize;
}

ChunkedBody::Outcome ChunkedBody::Read(std::span<const std::byte> input, std::size_t* consumed) {
  std::size_t at = 0;
  while (at < input.size() && state_ != State::kComplete && state_ != State::kRefused) {
    if (state_ == State::kData) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size_, input.size() - at));
      size_ -= part;
      at += part;
      if (size_ == 0) state_ = State::kDataCr;
    } else {
      Take(std::to_integer<char>(input[at]));
      ++at;
    }
  }
  *consumed = at;
  if (state_ == State::kComplete) return Outcome::kComplete;
  return state_ == State::kRefused ? Outcome::kRefused : Outcome::kNeedMore;
}

void ChunkedBody::Take(char c) {
  const State before = state_;
  state_ = After(before, c);
  if (state_ == State::kSizeDigits) {
    // The first zero may be the whole size.
    if (before == State::kSizeDigits && size_ == 0) Charge();
    if (state_ == State::kSizeDigits) TakeDigit(c);
  } else if (state_ == State::kData) {
    left_of_body_ -= size_;
    if (size_ == 0) state_ = State::kTrailer;
  } else if (state_ == State::kSize) {
    surplus_left_ = kChunkSurplusBytesMax;
  } else if (state_ == State::kRefused) {
    Refuse(400);
  } else if (InExtension(state_) || InTrailers(state_)) {
    Charge();
  }
}

void ChunkedBody::TakeDigit(char c) {
  // Refused as soon as the size is known, not when the bytes have come.
  if (size_ > (left_of_body_ >> 4)) {
    Refuse(413);
    return;
  }
  size_ = (size_ << 4) | ValueOf(c);
  if (size_ > left_of_body_) Refuse(413);
}

void ChunkedBody::Charge() {
  const bool in_trailers = InTrailers(state_);
  if (framing_left_ == 0 || (!in_trailers && surplus_left_ == 0)) {
    Refuse(in_trailers ? 431 : 400);
    return;
  }
  --framing_left_;
  if (!in_trailers) --surplus_left_;
}

void ChunkedBody::Refuse(unsigned status) {
  state_ = State::kRefused;
  refusal_ = static_cast<std::uint16_t>(status);
}

}  // namespace ktlsim::serve
