#include "tests/bench/curve_client.hpp"

#include <sodium.h>
#include <zmq.h>

#include <algorithm>
#include <stdexcept>

namespace lockstep::bench {
namespace {

constexpr std::size_t kShortNonce = 8;
constexpr std::size_t kLongNonce = 16;
constexpr std::size_t kMac = crypto_box_MACBYTES;
constexpr std::size_t kCookie = 96;
constexpr std::size_t kPadding = 72;  ///< of HELLO, so that an answer is never larger than its question
constexpr unsigned char kMoreFlag = 1;

const std::string kWelcome = "\x07WELCOME";
const std::string kReady = "\x05READY";
const std::string kMessage = "\x07MESSAGE";

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

template <class Key>
std::string_view text(const Key& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

template <class Key>
void decode(const std::string& z85, Key& key) {
  if (::zmq_z85_decode(key.data(), z85.c_str()) == nullptr) throw std::runtime_error("a key is no key");
}

/// Sealing fails only for a key that is none.
void must(int result) {
  if (result != 0) throw std::runtime_error("the broker's key is no point of the curve");
}

/// The body of a command or message after its name.
std::string_view body_of(std::string_view command, const std::string& name, std::size_t at_least) {
  if (!command.starts_with(name) || command.size() < name.size() + at_least) {
    throw std::runtime_error("the broker does not shake hands as CURVE does; is this key allowed?");
  }
  return command.substr(name.size());
}

}  // namespace

CurveClient::CurveClient(const PeerKey& key) {
  if (::sodium_init() < 0) throw std::runtime_error("libsodium does not start");
  decode(key.broker_key, server_);
  decode(key.entry.public_key, public_);
  decode(key.secret_key, secret_);
  ::crypto_box_keypair(session_public_.data(), session_secret_.data());
}

std::string CurveClient::next_short_nonce() {
  std::string nonce;
  ++nonce_;
  for (int shift = 56; shift >= 0; shift -= 8) nonce += static_cast<char>(nonce_ >> shift & 0xff);
  return nonce;
}

std::string CurveClient::hello() {
  const std::string nonce = next_short_nonce();
  const std::string zeros(64, '\0');
  std::string box(zeros.size() + kMac, '\0');
  must(::crypto_box_easy(bytes(box), bytes(zeros), zeros.size(), bytes("CurveZMQHELLO---" + nonce), server_.data(),
                         session_secret_.data()));
  std::string body("\x05HELLO\x01\x00", 8);
  return body.append(kPadding, '\0').append(text(session_public_)).append(nonce).append(box);
}

std::string CurveClient::initiate(std::string_view welcome, std::string_view metadata) {
  const std::string_view body = body_of(welcome, kWelcome, kLongNonce + 32 + kCookie + kMac);
  const std::string_view box = body.substr(kLongNonce);
  std::string plain(box.size() - kMac, '\0');
  if (::crypto_box_open_easy(bytes(plain), bytes(box), box.size(),
                             bytes("WELCOME-" + std::string(body.substr(0, kLongNonce))), server_.data(),
                             session_secret_.data()) != 0) {
    throw std::runtime_error("whoever listens does not have the broker's key");
  }
  std::copy_n(plain.begin(), session_server_.size(), session_server_.begin());
  must(::crypto_box_beforenm(shared_.data(), session_server_.data(), session_secret_.data()));

  std::string vouch_nonce(kLongNonce, '\0');
  ::randombytes_buf(vouch_nonce.data(), vouch_nonce.size());
  const std::string vouched = std::string(text(session_public_)).append(text(server_));
  std::string vouch(vouched.size() + kMac, '\0');
  must(::crypto_box_easy(bytes(vouch), bytes(vouched), vouched.size(), bytes("VOUCH---" + vouch_nonce),
                         session_server_.data(), secret_.data()));

  const std::string told = std::string(text(public_)).append(vouch_nonce).append(vouch).append(metadata);
  const std::string nonce = next_short_nonce();
  std::string sealed(told.size() + kMac, '\0');
  must(::crypto_box_easy_afternm(bytes(sealed), bytes(told), told.size(), bytes("CurveZMQINITIATE" + nonce),
                                 shared_.data()));
  return std::string("\x08INITIATE").append(plain.substr(32)).append(nonce).append(sealed);
}

void CurveClient::ready(std::string_view ready) {
  const std::string_view body = body_of(ready, kReady, kShortNonce + kMac);
  const std::string_view box = body.substr(kShortNonce);
  std::string plain(box.size() - kMac, '\0');
  const std::string nonce = "CurveZMQREADY---" + std::string(body.substr(0, kShortNonce));
  if (::crypto_box_open_easy_afternm(bytes(plain), bytes(box), box.size(), bytes(nonce), shared_.data()) != 0) {
    throw std::runtime_error("the broker's READY can't be opened");
  }
}

std::string CurveClient::seal(std::string_view payload) {
  const std::string nonce = next_short_nonce();
  const std::string plain = std::string(1, '\0').append(payload);
  std::string sealed(plain.size() + kMac, '\0');
  must(::crypto_box_easy_afternm(bytes(sealed), bytes(plain), plain.size(), bytes("CurveZMQMESSAGEC" + nonce),
                                 shared_.data()));
  return std::string(kMessage).append(nonce).append(sealed);
}

CurveClient::Opened CurveClient::open(std::string_view message) {
  const std::string_view body = body_of(message, kMessage, kShortNonce + kMac + 1);
  const std::string_view box = body.substr(kShortNonce);
  opened_.resize(box.size() - kMac);
  const std::string nonce = "CurveZMQMESSAGES" + std::string(body.substr(0, kShortNonce));
  if (::crypto_box_open_easy_afternm(bytes(opened_), bytes(box), box.size(), bytes(nonce), shared_.data()) != 0) {
    throw std::runtime_error("a message of the broker can't be opened");
  }
  return {(static_cast<unsigned char>(opened_.front()) & kMoreFlag) != 0, std::string_view(opened_).substr(1)};
}

}  // namespace lockstep::bench
