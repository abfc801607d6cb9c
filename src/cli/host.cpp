#include "cli/host.h"

namespace retort::cli {

ProgressStyle Environment::progress() const {
  if (host) return {.tell = host->progress};
  return {&raw(err), terminal, width};
}

data::Dataset open_data(const Environment& environment, const data::DataOptions& options,
                        const std::filesystem::path& cache) {
  if (environment.host && environment.host->open)
    return environment.host->open(options, cache, environment.progress());
  return data::open_dataset(options, cache, environment.progress());
}

}  // namespace retort::cli
