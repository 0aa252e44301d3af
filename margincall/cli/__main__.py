from margincall.cli import main

main()
