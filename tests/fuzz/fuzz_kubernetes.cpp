// What an API server or a kubelet answers: the first byte chooses to which question, and whether it was an error.
#include "cli/kubernetes/api_answers.hpp"
#include "cli/kubernetes/names.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  fuzz::Pieces input(fuzz::view_of(data, size));
  const std::uint8_t what = input.byte();
  const fuzz::Copy body(input.rest());
  switch (what % 3) {
    case 0:
      if (const auto place = cli::parse_pod(body.view(), "web")) {
        fuzz::expect(cli::is_dns_subdomain(place->node), "a node has a name");
        fuzz::expect(!place->id.empty() && place->id.find('/') == std::string::npos, "a container has an id");
      }
      break;
    case 1:
      if (const auto archives = cli::parse_checkpoint(body.view())) {
        fuzz::expect(!archives->empty(), "a checkpoint has an archive");
        for (const std::string& path : *archives)
          fuzz::expect(path.starts_with('/'), "an archive has an absolute path");
      }
      break;
    default: {
      constexpr long kStatus[] = {302, 401, 403, 404, 500, 503};
      const auto question = what < 128 ? cli::ApiQuestion::pod : cli::ApiQuestion::checkpoint;
      const std::string text = cli::explain_answer(question, {kStatus[what / 3 % 6], std::string(body.view())});
      fuzz::expect(text.size() < 900 && text.find_first_of("\n\033") == std::string::npos,
                   "an error is one short line");
    }
  }
  const std::string segment = cli::percent_encoded(body.view());
  fuzz::expect(segment.find_first_of("/?#") == std::string::npos && segment != "..", "one segment stays one");
  return 0;
}
