from margincall.cli import main

if __name__ == "__main__":  # the workers of an audit import this file too
    main()
