#include "shards/tls_certificate.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "protocol/http_fields.hpp"

namespace webshocket::shards {
namespace {

using Names = std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)>;

Names other_names(const X509* certificate) {
  return {static_cast<GENERAL_NAMES*>(
              X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
          GENERAL_NAMES_free};
}

template <class Visit>
void for_each_name(const X509* certificate, Visit visit) {
  const Names names = other_names(certificate);
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
  for (int i = 0; i < count; ++i) visit(*sk_GENERAL_NAME_value(names.get(), i));
}

const ASN1_STRING* common_name(const X509* certificate) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return at < 0 ? nullptr : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
}

std::string text_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string utf8_of(const ASN1_STRING* text) {
  unsigned char* bytes = nullptr;
  const int size = ASN1_STRING_to_UTF8(&bytes, text);
  if (size < 0) return {};
  std::string result(bytes, bytes + size);
  OPENSSL_free(bytes);
  return result;
}

/// The peer wrote it: shown to people, it must not do anything to their terminals.
std::string harmless(const ASN1_STRING* text) {
  constexpr std::size_t kMost = 255;
  std::string result = text_of(text).substr(0, kMost);
  std::ranges::replace_if(
      result, [](char c) { return c <= ' ' || c >= 0x7F; }, '?');
  return result;
}

std::string address_in_words(const ASN1_OCTET_STRING* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int size = ASN1_STRING_length(bytes);
  if (size != 4 && size != 16) return "?";
  ::inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(bytes), text.data(),
              text.size());
  return text.data();
}

std::string in_rfc2253(const X509_NAME* name) {
  const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
  // But for one of its rules: letters beyond ASCII stay readable, as UTF-8.
  constexpr unsigned long kFlags = XN_FLAG_RFC2253 & ~static_cast<unsigned>(ASN1_STRFLGS_ESC_MSB);
  X509_NAME_print_ex(out.get(), name, 0, kFlags);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return size <= 0 ? std::string() : std::string(text, static_cast<std::size_t>(size));
}

std::string hex_of(const ASN1_INTEGER* number) {
  const std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> big(ASN1_INTEGER_to_BN(number, nullptr),
                                                       BN_free);
  char* text = big == nullptr ? nullptr : BN_bn2hex(big.get());
  if (text == nullptr) return {};
  std::string result = text;
  OPENSSL_free(text);
  return result;
}

std::string fingerprint_of(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : std::span(digest).first(size)) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace

std::string names_in_words(const X509* certificate) {
  constexpr int kMost = 8;
  std::string list;
  int count = 0;
  for_each_name(certificate, [&](const GENERAL_NAME& name) {
    if (++count > kMost || (name.type != GEN_DNS && name.type != GEN_IPADD)) return;
    if (!list.empty()) list += ", ";
    list += name.type == GEN_DNS ? harmless(name.d.dNSName) : address_in_words(name.d.iPAddress);
  });
  if (count > kMost) list += ", …";
  if (!list.empty()) return list;
  const ASN1_STRING* name = common_name(certificate);
  return name == nullptr ? "no name" : harmless(name);
}

std::vector<std::string> host_names(const X509* certificate) {
  std::vector<std::string> list;
  bool has_others = false;
  for_each_name(certificate, [&](const GENERAL_NAME& name) {
    has_others = true;
    if (name.type == GEN_DNS) list.push_back(text_of(name.d.dNSName));
  });
  // The way of old: a host's name as the subject's.
  if (const ASN1_STRING* name = common_name(certificate); !has_others && name != nullptr) {
    list.push_back(utf8_of(name));
  }
  for (std::string& name : list) std::ranges::transform(name, name.begin(), protocol::lower);
  return list;
}

ClientCertificate describe(X509* certificate) {
  ClientCertificate result;
  result.subject = in_rfc2253(X509_get_subject_name(certificate));
  if (const ASN1_STRING* name = common_name(certificate)) result.common_name = utf8_of(name);
  result.issuer = in_rfc2253(X509_get_issuer_name(certificate));
  result.serial = hex_of(X509_get0_serialNumber(certificate));
  for_each_name(certificate, [&](const GENERAL_NAME& name) {
    if (name.type == GEN_DNS) result.names.push_back("DNS:" + text_of(name.d.dNSName));
    if (name.type == GEN_EMAIL) result.names.push_back("email:" + text_of(name.d.rfc822Name));
    if (name.type == GEN_URI) {
      result.names.push_back("URI:" + text_of(name.d.uniformResourceIdentifier));
    }
    if (name.type == GEN_IPADD) {
      result.names.push_back("IP:" + address_in_words(name.d.iPAddress));
    }
  });
  result.fingerprint = fingerprint_of(certificate);
  return result;
}

}  // namespace webshocket::shards
