plugins {
    alias(libs.plugins.android.library)
}

android {
    namespace = "dev.sparseruntime"
    compileSdk = libs.versions.compileSdk.get().toInt()
    ndkVersion = libs.versions.ndk.get()

    defaultConfig {
        minSdk = libs.versions.minSdk.get().toInt()
        consumerProguardFiles("proguard.txt")
        ndk {
            abiFilters += listOf("arm64-v8a", "armeabi-v7a", "x86_64")
        }
        externalNativeBuild {
            cmake {
                // Fast code in debug builds of an app too: what is debugged there is the app.
                arguments += listOf("-DCMAKE_BUILD_TYPE=Release", "-DSPR_BUILD_TESTS=OFF", "-DSPR_BUILD_TOOLS=OFF")
                // All is C. Prefab would take the default for C++ linked in, and keep the library from apps with C++.
                arguments += "-DANDROID_STL=none"
                targets += "sparse_runtime"
            }
        }
    }

    externalNativeBuild {
        cmake {
            path = file("../../CMakeLists.txt")
            version = libs.versions.cmake.get()
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }

    // C code in apps: find_package(sparse_runtime), sparse_runtime::sparse_runtime
    buildFeatures {
        prefabPublishing = true
    }
    prefab {
        create("sparse_runtime") {
            headers = "../../csrc/include"
        }
    }
}
