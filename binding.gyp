# node-gyp comes in here. CMakeLists.txt is the one description of the build, so this only hands
# over, and the addon lands where node-gyp would have put it: build/Release/latte_embeddings.node.
# CMake works in build/cmake, because node-gyp keeps a Makefile of its own in build/.
{
  "targets": [
    {
      "target_name": "latte_embeddings",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake_js",
          "message": "Building with CMake",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["<(PRODUCT_DIR)/latte_embeddings.node"],
          "action": [
            "node",
            "<!(node -p \"require.resolve('cmake-js/bin/cmake-js')\")",
            "build",
            "--out=build/cmake",
            "--parallel=4",
            "--CDCMAKE_LIBRARY_OUTPUT_DIRECTORY=<(module_root_dir)/build/Release",
          ],
        },
      ],
    },
  ],
}
