// A program that embeds retort: distils the built-in set to two images of each class, trains fresh
// students on them and on as many real images, and keeps everything in a folder.
//     embed FOLDER
#include <exception>
#include <filesystem>
#include <iostream>

#include "retort/retort.h"

namespace {

void run(const std::filesystem::path& folder) {
  retort::use_threads(0);
  const auto data = retort::data::prepare_dataset(retort::data::make_shapes(0.1), {});
  retort::methods::Experiment experiment("dm");
  experiment.set({{"network", "convnet-w16"},
                  {"images_per_class", "2"},
                  {"iterations", "40"},
                  {"real_batch", "32"}});
  const auto outcome = experiment.run(data, folder);  // goes on where an earlier start came to
  retort::eval::EvalOptions options;
  options.evaluation_epochs = 40;
  for (const auto& result : retort::eval::evaluate(outcome.bundle, data, options).results)
    std::cout << result.subject << ", " << result.images << " images: accuracy "
              << 100 * result.mean() << " +- " << 100 * result.deviation() << " %\n";
  retort::synthetic::export_bundle(outcome.bundle, "npz", folder / "distilled.npz");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "embed-run");
  } catch (const std::exception& error) {  // retort::Error says what to do, in words
    std::cerr << error.what() << '\n';
    return 1;
  }
}
